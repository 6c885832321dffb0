package config

import (
	"cmp"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// MinionFile is read when the user names no file; it may be missing.
const MinionFile = "/etc/brine/minion.yml"

// What a minion does at start.
const (
	StartupHighstate = "highstate" // ask the master for all that this host should be
	StartupNone      = "none"      // wait for jobs
)

// Whether a minion asks its cloud who it is.
const (
	CloudAuto = "auto" // when the firmware says so
	CloudEC2  = "ec2"
	CloudNone = "none"
)

// Minion is the configuration of brine-minion.
type Minion struct {
	ID            string       `yaml:"id"`
	Master        string       `yaml:"master"`          // host:port of the bus
	MasterKey     string       `yaml:"master_key"`      // the master's public keys, as brine keys fingerprint prints them
	MasterKeyFile string       `yaml:"master_key_file"` // holds it, when MasterKey is empty
	Token         fleet.Secret `yaml:"token"`           // enrols without an operator
	TokenFile     string       `yaml:"token_file"`      // holds it, when Token is empty
	StateDir      string       `yaml:"state_dir"`       // key, spool, downloads
	Cache         Cache        `yaml:"cache"`
	Bus           MinionBus    `yaml:"bus"`
	Startup       string       `yaml:"startup"` // StartupHighstate or StartupNone
	Highstate     MinionAgain  `yaml:"highstate"`
	Tags          fleet.Tags   `yaml:"tags"`
	Grains        fleet.Grains `yaml:"grains"`         // added to the facts that are found
	GrainsDir     string       `yaml:"grains_dir"`     // executables that print more of them
	GrainsRefresh string       `yaml:"grains_refresh"` // how often facts are looked for anew
	Cloud         string       `yaml:"cloud"`          // whose metadata are grains: CloudAuto, CloudEC2 or CloudNone
	// Options are settings for states, by Salt's names: failhard, pillarenv, ...
	Options map[string]any `yaml:"options"`
	Log     Log            `yaml:"log"`
}

// MinionBus is a minion's end of the bus.
type MinionBus struct {
	Heartbeat string `yaml:"heartbeat"`
}

// MinionAgain is how often a minion asks for its highstate after the start.
type MinionAgain struct {
	Every string `yaml:"every"` // empty: never
	Splay string `yaml:"splay"` // at most added to it, each time another
}

// HighstateTimes are the time between highstates, 0 for none, and what is at most added to it.
func (m Minion) HighstateTimes() (every, splay time.Duration) {
	return durationOf(m.Highstate.Every), durationOf(m.Highstate.Splay)
}

// Interval is the time between heartbeats.
func (b MinionBus) Interval() time.Duration { return durationOf(b.Heartbeat) }

// RefreshGrains is the time between looking for grains.
func (m Minion) RefreshGrains() time.Duration { return durationOf(m.GrainsRefresh) }

// DefaultMinion is the configuration of a minion without file, environment and flags. Its id is the host's name.
func DefaultMinion() Minion {
	host, _ := os.Hostname() // without one, the id is missing, and that is told
	return Minion{
		ID:       host,
		StateDir: "/var/lib/brine-minion",
		Cache:    Cache{Archives: "5", Size: "2GiB"},
		Bus:      MinionBus{Heartbeat: defaultHeartbeat},
		Startup:  StartupNone,

		GrainsDir: "/etc/brine/grains.d", GrainsRefresh: "5m", Cloud: CloudAuto,
		Log: Log{Level: "info", Format: "text"},
	}
}

func (m *Minion) settings() []setting {
	return append([]setting{
		{"id", "name of this minion, unique in the fleet", &m.ID, validName},
		{"master", "address of the master's bus, host:port", &m.Master, address(false)},
		{"master_key", "the master's public keys", &m.MasterKey, nil},
		{"master_key_file", "file that holds the master's public keys", &m.MasterKeyFile, nil},
		{"token", "", &m.Token, nil},
		{"token_file", "file that holds a token to enrol with", &m.TokenFile, nil},
		{"state_dir", "directory of the key, the spool and downloads", &m.StateDir, notEmpty},
		{"cache.archives", "how many fetched archives are kept for rollbacks", &m.Cache.Archives, count},
		{"cache.size", "how much they may take together", &m.Cache.Size, bytesSize},
		{"bus.heartbeat", heartbeatHelp, &m.Bus.Heartbeat, interval},
		{"startup", "what to do at start: highstate or none", &m.Startup, oneOf(StartupHighstate, StartupNone)},
		{"highstate.every", "how often to ask for it again: 1h; empty: never", &m.Highstate.Every, orEmpty(positive)},
		{"highstate.splay", "how much is at most added to that, each time another", &m.Highstate.Splay, orEmpty(positive)},
		{"grains_dir", "directory of executables that print grains", &m.GrainsDir, nil},
		{"grains_refresh", "how often grains are looked for anew", &m.GrainsRefresh, positive},
		{"cloud", "whose metadata become grains: auto, ec2 or none", &m.Cloud, oneOf(CloudAuto, CloudEC2, CloudNone)},
	}, m.Log.settings()...)
}

// MinionFlags adds a minion's flags to fs.
func MinionFlags(fs *pflag.FlagSet) {
	m := DefaultMinion()
	register(fs, m.settings())
}

// LoadMinion loads a minion's configuration. Path is the file that the user named with a flag; empty: BRINE_CONFIG, then
// MinionFile. Flags are those of MinionFlags, parsed, or nil.
func LoadMinion(path string, flags *pflag.FlagSet) (Minion, error) {
	m := DefaultMinion()
	if _, err := load(cmp.Or(path, os.Getenv("BRINE_CONFIG")), MinionFile, flags, &m, m.settings()); err != nil {
		return Minion{}, err
	}
	return m, nil
}
