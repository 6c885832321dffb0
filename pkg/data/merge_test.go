package data_test

import (
	"encoding/json"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
)

func parse(t *testing.T, text string) any {
	t.Helper()
	v, err := data.FromJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMergesAsTheStrategySays(t *testing.T) {
	const under, over = `{"a":{"x":1,"y":{"z":1}},"l":[1,2],"s":"u","only":1}`, `{"a":{"y":{"w":2}},"l":[2,3],"s":{"m":1}}`
	for strategy, want := range map[data.Strategy]string{
		"":             `{"a":{"x":1,"y":{"z":1,"w":2}},"l":[2,3],"s":{"m":1},"only":1}`,
		data.Overwrite: `{"a":{"y":{"w":2}},"l":[2,3],"s":{"m":1},"only":1}`,
		data.List:      `{"a":[{"x":1,"y":{"z":1}},{"y":{"w":2}}],"l":[[1,2],[2,3]],"s":["u",{"m":1}],"only":1}`,
	} {
		a, b := parse(t, under).(*data.Map), parse(t, over).(*data.Map)
		got, _ := json.Marshal(data.Merge(a, b, strategy, false))
		if string(got) != want {
			t.Errorf("%q: %s, not %s", strategy, got, want)
		}
		if text, _ := json.Marshal(a); string(text) != under {
			t.Errorf("%q changed what it was given: %s", strategy, text)
		}
	}
	got, _ := json.Marshal(data.Merge(parse(t, under).(*data.Map), parse(t, over).(*data.Map), data.Recurse, true))
	if want := `{"a":{"x":1,"y":{"z":1,"w":2}},"l":[1,2,3],"s":{"m":1},"only":1}`; string(got) != want {
		t.Errorf("with lists: %s", got)
	}
	if err := data.Strategy("deep").Valid(); err == nil {
		t.Error("an unknown strategy is no error")
	}
}

func TestTraversesAsPillarGetDoes(t *testing.T) {
	v := parse(t, `{"users":{"zed":{"groups":["a","b"]}},"list":[{"k":"in map"},"second"],"none":null}`)
	v.(*data.Map).Set(int64(80), data.NewMap("p", "by number"))
	for path, want := range map[string]any{
		"users:zed:groups:1": "b", "users:zed:groups:-1": "b", "list:k": "in map", "list:1": "second", "80:p": "by number", "none": nil,
	} {
		if got, ok := data.Traverse(v, path, ""); !ok || !data.Equal(got, want) {
			t.Errorf("%s: %v, %t", path, got, ok)
		}
	}
	for _, path := range []string{"", "users:", "users:zed:groups:2", "none:x", "list:nope", "users:zed:groups:1:x"} {
		if got, ok := data.Traverse(v, path, ""); ok {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got, ok := data.Traverse(v, "users|zed|groups|0", "|"); !ok || got != "a" {
		t.Errorf("another delimiter: %v", got)
	}
}
