package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/pkg/yaml"
)

// MasterFile is read when the user names no file; it may be missing.
const MasterFile = "/etc/brine/master.yml"

// Master is the configuration of brine-master.
type Master struct {
	StateDir  string             `yaml:"state_dir"` // journal, keys, scratch directories
	Apps      string             `yaml:"apps"`      // directory of the application files
	Bus       MasterBus          `yaml:"bus"`
	HTTP      HTTP               `yaml:"http"`
	API       API                `yaml:"api"`
	Store     Section            `yaml:"store"`
	Balancers map[string]Section `yaml:"balancers"` // by the name that groups use
	Returners map[string]Section `yaml:"returners"` // by name; the name is the cursor's, so renaming one starts it anew
	Clouds    map[string]Section `yaml:"clouds"`    // by name
	// ForgetAfter is how long a minion may be away before it counts as one that left for good; empty: for ever.
	ForgetAfter string `yaml:"forget_after"`
	States      States `yaml:"states"`
	// Nodegroups are named targets: each text, or a list of words.
	Nodegroups map[string]any `yaml:"nodegroups"`
	Log        Log            `yaml:"log"`
}

// Patience is ForgetAfter as a duration, zero for none.
func (m Master) Patience() time.Duration { return durationOf(m.ForgetAfter) }

// patience checks a ForgetAfter.
func patience(s string) error {
	if d, err := time.ParseDuration(s); s != "" && (err != nil || d < time.Second) {
		return fmt.Errorf("%q is not a duration of a second or more, such as 24h", s)
	}
	return nil
}

// MasterBus is the master's end of the bus.
type MasterBus struct {
	Listen    string `yaml:"listen"` // host:port
	Heartbeat string `yaml:"heartbeat"`
}

// Interval is the time between heartbeats.
func (b MasterBus) Interval() time.Duration { return durationOf(b.Heartbeat) }

// HTTP is the listener that serves archives to minions and the pages of returners.
type HTTP struct {
	Listen    string `yaml:"listen"`
	Advertise string `yaml:"advertise"` // base URL under which minions reach it; empty: the address that they know the master by
}

// API is the Unix socket of the command line.
type API struct {
	Socket string `yaml:"socket"`
	Mode   string `yaml:"mode"`  // octal
	Group  string `yaml:"group"` // who owns the socket; empty: the master's own group
}

// DefaultMaster is the configuration of a master without file, environment and flags.
func DefaultMaster() Master {
	return Master{
		StateDir: "/var/lib/brine-master",
		Apps:     "/etc/brine/apps.d",
		Bus:      MasterBus{Listen: "0.0.0.0:4510", Heartbeat: defaultHeartbeat},
		HTTP:     HTTP{Listen: "0.0.0.0:4511"},
		API:      API{Socket: DefaultSocket, Mode: "0660"},
		States:   defaultStates(),
		Log:      Log{Level: "info", Format: "text"},
	}
}

func (m *Master) settings() []setting {
	own := []setting{
		{"state_dir", "directory of the journal, the keys and the store", &m.StateDir, notEmpty},
		{"apps", "directory of the application files", &m.Apps, notEmpty},
		{"forget_after", "how long a minion may be away before it is taken out of the fleet for good", &m.ForgetAfter, patience},
		{"bus.listen", "address of the bus", &m.Bus.Listen, address(true)},
		{"bus.heartbeat", heartbeatHelp, &m.Bus.Heartbeat, interval},
		{"http.listen", "address of archives and metrics", &m.HTTP.Listen, address(true)},
		{"http.advertise", "base URL under which minions reach the HTTP listener", &m.HTTP.Advertise, baseURL},
		{"api.socket", "Unix socket of the command line", &m.API.Socket, notEmpty},
		{"api.mode", "octal mode of the socket", &m.API.Mode, fileMode},
		{"api.group", "group that owns the socket", &m.API.Group, nil},
	}
	return slices.Concat(own, m.States.settings(), m.Log.settings())
}

// MasterFlags adds a master's flags to fs.
func MasterFlags(fs *pflag.FlagSet) {
	m := DefaultMaster()
	register(fs, m.settings())
}

// LoadMaster loads a master's configuration. Path is the file that the user named with a flag; empty: BRINE_CONFIG, then
// MasterFile. Flags are those of MasterFlags, parsed, or nil.
func LoadMaster(path string, flags *pflag.FlagSet) (Master, error) {
	m := DefaultMaster()
	root, err := load(cmp.Or(path, os.Getenv("BRINE_CONFIG")), MasterFile, flags, &m, m.settings())
	errs := []error{err}
	for _, plugins := range []string{"balancers", "returners", "clouds"} {
		for _, p := range root.Get(plugins).Pairs() {
			if err := validName(p.Key.Text()); err != nil {
				errs = append(errs, p.Key.Errorf("%s", err))
			}
			if p.Value.Kind() == yaml.Null {
				errs = append(errs, p.Key.Errorf("%s needs a type", p.Key.Text()))
			}
		}
	}
	if err := yaml.Join(errs...); err != nil {
		return Master{}, err
	}
	return m, m.defaultStore()
}

// defaultStore is a directory, below the state directory unless the file says otherwise.
func (m *Master) defaultStore() error {
	m.Store.Type = cmp.Or(m.Store.Type, "dir")
	if m.Store.Type != "dir" {
		return nil
	}
	text, err := json.Marshal(map[string]string{"path": filepath.Join(m.StateDir, "store")})
	if err != nil {
		return fmt.Errorf("encode default store: %w", err)
	}
	m.Store.defaults, err = yaml.Parse("default of store", text)
	return err
}
