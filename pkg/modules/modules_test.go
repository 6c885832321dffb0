package modules_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/modules"
)

func value(t *testing.T, text string) any {
	t.Helper()
	v, err := data.FromJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func env(t *testing.T) *modules.Env {
	t.Helper()
	grains := `{"id": "casemin", "os": "Debian", "os_family": "Debian", "oscodename": "bookworm", "roles": ["web", "db"], "nested": {"a": {"b": "deep"}}}`
	pillar := `{"users": {"zed": {"uid": 1001, "groups": ["a", "b"]}}, "port": 8080, "flag": false, "none": null, "list": [3, 1, 2], "role": "web"}`
	opts := `{"id": "casemin", "my_opt": "optval", "users": {"amy": {"uid": 1}}, "nodegroups": {"deb": "G@os:Debian"}}`
	return &modules.Env{
		ID: "casemin", Grains: value(t, grains).(*data.Map), Pillar: value(t, pillar).(*data.Map), Opts: value(t, opts).(*data.Map),
		Saltenv: "base", Files: fileroot.New("testdata/files"), Cache: t.TempDir(), Functions: modules.All(),
	}
}

// call runs a function with JSON arguments: a list, and an object or nothing.
func call(t *testing.T, e *modules.Env, name, args, named string) (any, error) {
	t.Helper()
	m := &data.Map{}
	if named != "" {
		m = value(t, named).(*data.Map)
	}
	return modules.Call(t.Context(), e, name, value(t, args).([]any), m)
}

func TestFunctionsAnswerAsSaltsDo(t *testing.T) {
	for _, c := range []struct{ name, args, named, want string }{
		{"pillar.get", `["users:zed:uid"]`, "", `1001`},
		{"pillar.get", `["no:such", "dflt"]`, "", `"dflt"`},
		{"pillar.get", `["no:such"]`, "", `""`},
		{"pillar.get", `["no:such", null]`, "", `null`},
		{"pillar.get", `["none", "dd"]`, "", `null`},
		{"pillar.get", `["flag", true]`, "", `false`},
		{"pillar.get", `["users|zed|groups|1"]`, `{"delimiter": "|"}`, `"b"`},
		{"pillar.get", `["users"]`, `{"default": {"zed": {"gid": 5, "uid": 1}, "x": 1}, "merge": true}`, `{"zed": {"gid": 5, "uid": 1001, "groups": ["a", "b"]}, "x": 1}`},
		{"pillar.get", `["list", [2, 9], true]`, "", `[2, 9, 3, 1]`},
		{"pillar.get", `["port", {"a": 1}, true]`, "", `8080`},
		{"pillar.item", `["port", "no"]`, "", `{"port": 8080, "no": ""}`},
		{"pillar.keys", `["users"]`, "", `["zed"]`},
		{"pillar.filter_by", `[{"w*": 1, "default": 2}, "role"]`, "", `1`},
		{"grains.get", `["nested:a:b"]`, "", `"deep"`},
		{"grains.get", `["no"]`, "", `""`},
		{"grains.has_value", `["roles"]`, "", `true`},
		{"grains.equals", `["os", "Debian"]`, "", `true`},
		{"grains.item", `["os", "no"]`, "", `{"os": "Debian"}`},
		{"grains.filter_by", `[{"bookworm": 1, "default": 2}]`, `{"grain": "oscodename"}`, `1`},
		{"grains.filter_by", `[{"x": 1, "default": 2}, "oscodename"]`, "", `2`},
		{"grains.filter_by", `[{"x": 1}, "oscodename"]`, "", `null`},
		{"grains.filter_by", `[{"db": 1, "web": 2}, "roles"]`, "", `2`},
		{"grains.filter_by", `[{"base": {"a": 1, "b": {"c": 1}}, "Debian": {"b": {"d": 2}}}]`, `{"base": "base", "merge": {"e": 3}}`, `{"a": 1, "b": {"c": 1, "d": 2}, "e": 3}`},
		{"config.get", `["my_opt"]`, "", `"optval"`},
		{"config.get", `["port"]`, "", `8080`},
		{"config.get", `["os"]`, "", `"Debian"`},
		{"config.get", `["zz", "d"]`, "", `"d"`},
		{"config.get", `["users"]`, `{"merge": "recurse"}`, `{"zed": {"uid": 1001, "groups": ["a", "b"]}, "amy": {"uid": 1}}`},
		{"config.option", `["os"]`, "", `"Debian"`},
		{"slsutil.merge", `[{"l": [1], "a": {"x": 1}}, {"l": [2], "a": {"y": 2}}]`, `{"merge_lists": true}`, `{"l": [1, 2], "a": {"x": 1, "y": 2}}`},
		{"slsutil.serialize", `["yaml", {"b": [1, "x"], "a": null}]`, "", `"a: null\nb:\n- 1\n- x"`},
		{"slsutil.boolstr", `["Yes", 1, 0]`, "", `1`},
		{"defaults.merge", `[{"a": 1}, null]`, "", `{"a": 1}`},
		{"defaults.update", `[{"web1": {"port": 1}, "web2": null}, {"port": 80, "x": [1]}]`, "", `{"web1": {"port": 1, "x": [1]}, "web2": {"port": 80, "x": [1]}}`},
		{"test.echo", `["x"]`, "", `"x"`},
		{"test.arg", `[1]`, `{"b": 2}`, `{"args": [1], "kwargs": {"b": 2}}`},
		{"cmd.run", `["echo hi; echo $HOME"]`, "", `"hi; echo $HOME"`},
		{"cmd.run", `["echo $X | tr a-z A-Z"]`, `{"python_shell": true, "env": [{"X": "shout"}]}`, `"SHOUT"`},
		{"cmd.shell", `["printf ' a \\n\\n' >&2"]`, "", `" a"`},
		{"cmd.retcode", `["sh -c 'exit 3'"]`, "", `3`},
		{"cmd.run_stdout", `["sleep 5"]`, `{"timeout": 1}`, `"sleep 5 : Timed out after 1 seconds"`},
		{"cmd.has_exec", `["sh"]`, "", `true`},
		{"cmd.which", `["no-such-program"]`, "", `null`},
		{"match.compound", `["G@os:Debian and case*"]`, "", `true`},
		{"match.compound", `["N@deb and not casemin"]`, "", `false`},
		{"match.glob", `["x*"]`, "", `false`},
		{"match.glob", `["x*", "xyz"]`, "", `true`},
		{"match.grain", `["nested|a|b|deep", "|"]`, "", `true`},
		{"match.pillar_exact", `["users:zed:uid:100*"]`, "", `false`},
		{"match.list", `["other, casemin"]`, "", `false`},
		{"match.list", `[["other", "casemin"]]`, "", `true`},
		{"match.filter_by", `[{"G@os:Red*": 1, "case*": {"a": 1}}]`, `{"merge": {"b": 2}}`, `{"a": 1, "b": 2}`},
		{"file.join", `["/a", "b/", "c"]`, "", `"/a/b/c"`},
		{"file.join", `["/a", "/b"]`, "", `"/b"`},
		{"file.basename", `["/a/b/"]`, "", `""`},
		{"file.dirname", `["/a/b/"]`, "", `"/a/b"`},
		{"file.dirname", `["/a"]`, "", `"/"`},
		{"file.file_exists", `["/etc"]`, "", `false`},
		{"file.directory_exists", `["/etc"]`, "", `true`},
		{"file.read", `["testdata/files/map.jinja"]`, "", `"x\n"`},
		{"file.contains", `["testdata/files/web/init.sls", "a: 1"]`, "", `true`},
		{"file.contains_regex", `["testdata/files/web/init.sls", "1"]`, "", `false`},
		{"file.search", `["testdata/files/web/init.sls", "1$"]`, "", `true`},
		{"file.get_hash", `["testdata/files/map.jinja", "md5"]`, "", `"401b30e3b8b5d629635a5c613cdb7919"`},
		{"file.check_hash", `["testdata/files/map.jinja", "401b30e3b8b5d629635a5c613cdb7919"]`, "", `true`},
		{"file.find", `["testdata/files"]`, `{"name": "*.sls", "maxdepth": 2, "type": "f"}`, `["testdata/files/web/init.sls"]`},
		{"cp.get_file_str", `["salt://map.jinja"]`, "", `"x\n"`},
		{"cp.get_file_str", `["salt://no"]`, "", `false`},
		{"cp.list_states", `[]`, "", `["web", "web.sub.db"]`},
		{"cp.list_master_dirs", `[]`, "", `["web", "web/sub"]`},
		{"cp.hash_file", `["salt://map.jinja"]`, "", `{"hash_type": "sha256", "hsum": "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"}`},
		{"slsutil.dir_exists", `["web/sub"]`, "", `true`},
		{"slsutil.findup", `["web/sub", ["no", "map.jinja"]]`, "", `"map.jinja"`},
		{"hashutil.digest", `["hello"]`, "", `"5d41402abc4b2a76b9719d911017c592"`},
		{"network.in_subnet", `["10.0.0.0/8", "10.1.2.3"]`, "", `true`},
		{"network.ip_addrs", `["lo"]`, `{"include_loopback": true, "cidr": "127.0.0.1/32"}`, `["127.0.0.1"]`},
		{"user.info", `["no-such-user"]`, "", `{}`},
		{"group.info", `["root"]`, "", `{"name": "root", "passwd": "x", "gid": 0, "members": []}`},
		{"pkg.version_cmp", `["1:1.0", "2.0"]`, "", `1`},
		{"pkg.version_cmp", `["1.2-1", "1.10"]`, "", `-1`},
		{"pkg.version_cmp", `["1.0~rc1", "1.0"]`, "", `-1`},
		{"service.available", `["no-such-service"]`, "", `false`},
		{"sys.list_functions", `["test.p*"]`, "", `["test.ping"]`},
		{"sys.argspec", `["grains.has_value"]`, "", `{"grains.has_value": {"args": ["key"], "varargs": false}}`},
	} {
		got, err := call(t, env(t), c.name, c.args, c.named)
		if err != nil || !data.Equal(got, value(t, c.want)) {
			t.Errorf("%s %s %s: %v, %v; not %s", c.name, c.args, c.named, modules.Text(got), err, c.want)
		}
	}
}

func TestCallsThatCannotRunSayWhy(t *testing.T) {
	for _, c := range []struct {
		name, args, named string
		kind              error
		says              string
	}{
		{"test.pong", `[]`, "", modules.ErrUnknown, "test.ping"},
		{"nope.func", `[]`, "", modules.ErrUnknown, "sys.list_functions"},
		{"pillar.get", `[]`, "", modules.ErrArguments, "key must be given"},
		{"grains.has_value", `["a", "b"]`, "", modules.ErrArguments, "not 2"},
		{"pillar.get", `["a"]`, `{"otherwise": 1}`, modules.ErrArguments, "default"},
		{"pillar.get", `["a"]`, `{"key": "b"}`, modules.ErrArguments, "twice"},
		{"cmd.run", `["echo 'a"]`, "", modules.ErrArguments, "quote"},
		{"cmd.run", `[""]`, "", modules.ErrArguments, "cmd.run 'uptime'"},
	} {
		_, err := call(t, env(t), c.name, c.args, c.named)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := call(t, env(t), "test.exception", `["oops"]`, ""); err == nil || err.Error() != "oops" {
		t.Errorf("%v", err)
	}
}

func TestAPersonsCommandIsTheShells(t *testing.T) {
	got, err := modules.CallByPerson(t.Context(), env(t), "cmd.run", []any{"echo a | tr a b"}, nil)
	if err != nil || got != "b" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = modules.CallByPerson(t.Context(), env(t), "cmd.run", []any{"echo a | tr a b"}, data.NewMap("python_shell", false))
	if err != nil || got != "a | tr a b" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNothingThatAFunctionGivesIsItsEnvironmentsOwn(t *testing.T) {
	e := env(t)
	got, err := call(t, e, "pillar.get", `["users"]`, "")
	if err != nil {
		t.Fatal(err)
	}
	got.(*data.Map).Set("zed", "changed")
	if after, _ := call(t, e, "pillar.get", `["users:zed:uid"]`, ""); after != int64(1001) {
		t.Errorf("the pillar was changed: %v", after)
	}
}

func TestThisHostIsDescribed(t *testing.T) {
	for name, key := range map[string]string{
		"disk.usage": "/", "status.loadavg": "15-min", "status.meminfo": "MemTotal", "status.uptime": "seconds", "status.cpuinfo": "processor",
		"network.interfaces": "lo", "environ.items": "PATH", "status.diskusage": "/",
	} {
		got, err := call(t, env(t), name, "[]", "")
		m, _ := got.(*data.Map)
		if v, ok := m.Get(key); err != nil || !ok || v == nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	got, err := call(t, env(t), "user.info", `["root"]`, "")
	if home, _ := got.(*data.Map).Get("home"); err != nil || home != "/root" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = call(t, env(t), "file.stats", `["/etc/passwd"]`, "")
	if kind, _ := got.(*data.Map).Get("type"); err != nil || kind != "file" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err = call(t, env(t), "cp.cache_file", `["salt://web/init.sls"]`, ""); err != nil || !strings.HasSuffix(got.(string), "/files/base/web/init.sls") {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAllFunctionsAreDocumentedWithAnExample(t *testing.T) {
	for name, f := range modules.All() {
		first, example, ok := strings.Cut(f.Doc, "\n")
		if !ok || !strings.HasSuffix(first, ".") || !strings.Contains(example, "  "+name) {
			t.Errorf("%s: %q", name, f.Doc)
		}
	}
	if all := modules.ReadOnly(modules.All()); all["cmd.run"].Run != nil || all["grains.get"].Run == nil {
		t.Error("read-only functions run commands, or are none")
	}
}
