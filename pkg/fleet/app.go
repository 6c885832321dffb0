package fleet

import (
	"fmt"
	"time"
)

// Application is what is deployed: one YAML file in apps.d/. It is decoded strictly; see etc/apps.d/ for a sample.
type Application struct {
	Name   AppName              `yaml:"name" json:"name"`
	Source SourceSpec           `yaml:"source" json:"source"`
	Build  Build                `yaml:"build" json:"build"`
	Groups map[GroupName]*Group `yaml:"groups" json:"groups"`
	Freeze []Freeze             `yaml:"freeze" json:"freeze,omitempty"` // for all groups
}

// SourceSpec says where the code comes from.
type SourceSpec struct {
	Type       string `yaml:"type" json:"type"` // a source plug-in; "git" when empty
	URL        string `yaml:"url" json:"url"`
	Ref        string `yaml:"ref" json:"ref"`               // used when a deployment names none
	Submodules bool   `yaml:"submodules" json:"submodules"` // git: check submodules out too
}

// Build says how a tree of source becomes the tree that is packed.
type Build struct {
	Steps   []BuildStep       `yaml:"steps" json:"steps"`
	Env     map[string]string `yaml:"env" json:"env"`
	Exclude []string          `yaml:"exclude" json:"exclude"` // gitignore-like globs of what is not packed
}

// BuildStep is one command run in the exported tree: Run through /bin/sh, or Argv without a shell; never both.
type BuildStep struct {
	Run     string            `yaml:"run" json:"run"`
	Argv    []string          `yaml:"argv" json:"argv"`
	Env     map[string]string `yaml:"env" json:"env"`
	Timeout Duration          `yaml:"timeout" json:"timeout"` // 30 minutes when zero
}

// Group is a deployment group: which minions, how they install, how they are rolled, which pool they serve in.
type Group struct {
	Target   string            `yaml:"target" json:"target"`                                       // a target expression
	Layout   string            `yaml:"layout" json:"layout"`                                       // releases, copy or appspec; "releases" when empty
	Root     string            `yaml:"root" json:"root"`                                           // absolute directory on the minion; {id} is the minion's id
	Shared   []string          `yaml:"shared" json:"shared"`                                       // paths kept over releases; a trailing / makes a directory
	Keep     int               `yaml:"keep" json:"keep"`                                           // good releases kept on the minion, the current one included; 5 when zero
	Hooks    string            `yaml:"hooks" json:"hooks"`                                         // directory in the archive that holds <group>/<Event>[.sh]
	Copy     *CopyOptions      `yaml:"copy" json:"copy,omitempty"`                                 // of layout copy only
	Exists   string            `yaml:"file_exists_behavior" json:"file_exists_behavior,omitempty"` // of layout appspec: DISALLOW (when empty), OVERWRITE or RETAIN files in the way
	RunAs    string            `yaml:"runas" json:"runas"`                                         // user of the hook scripts; the minion's own when empty
	Env      map[string]string `yaml:"env" json:"env"`                                             // for the hooks
	Secrets  []string          `yaml:"secrets" json:"secrets,omitempty"`                           // names in Env whose values are redacted from what scripts say
	Timeout  Duration          `yaml:"timeout" json:"timeout"`
	Strategy Strategy          `yaml:"strategy" json:"strategy"`
	Freeze   []Freeze          `yaml:"freeze" json:"freeze,omitempty"` // beside those of the application
	Balancer *PoolSpec         `yaml:"balancer" json:"balancer,omitempty"`
}

// CopyOptions say how layout copy makes Root equal to the archive.
type CopyOptions struct {
	Exclude []string `yaml:"exclude" json:"exclude,omitempty"` // rsync's patterns; what matches is neither copied nor removed
	Delete  bool     `yaml:"delete" json:"delete,omitempty"`   // also what no revision brought; else that stays
}

// PoolSpec ties a group to a pool of a configured balancer. Member and Address may hold {id}, {grains.NAME} and
// {tags.NAME}; a list's first item is taken.
type PoolSpec struct {
	Use            string   `yaml:"use" json:"use"`                         // the balancer's name in master.yml
	Pool           string   `yaml:"pool" json:"pool"`                       // backend, upstream or target group
	Member         string   `yaml:"member" json:"member"`                   // the server's name there; "{id}" when empty
	Address        string   `yaml:"address" json:"address"`                 // host:port where it serves
	DrainTimeout   Duration `yaml:"drain_timeout" json:"drain_timeout"`     // for connections to end; 30 s when zero
	HealthyTimeout Duration `yaml:"healthy_timeout" json:"healthy_timeout"` // to become healthy in the pool; 60 s when zero
}

// Duration is a time.Duration that users write as "90s" or "10m".
type Duration time.Duration

// Or returns d, or fallback when d is zero.
func (d Duration) Or(fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return time.Duration(d)
}

// MarshalText encodes d for JSON and YAML.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText decodes d from JSON and YAML; a negative duration is refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 90s, 10m or 1h30m", text)
	}
	*d = Duration(v)
	return nil
}
