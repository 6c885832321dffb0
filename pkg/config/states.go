package config

import (
	"github.com/brine-deploy/brine/pkg/yaml"
)

// States says where the master has the files of states and the pillar, which it gives to minions.
type States struct {
	Root             Roots  `yaml:"root"`               // what salt:// names
	Pillar           Roots  `yaml:"pillar"`             // top file and SLS files of the pillar
	PillarMerging    string `yaml:"pillar_merging"`     // Salt's pillar_source_merging_strategy
	PillarMergeLists bool   `yaml:"pillar_merge_lists"` // append lists instead of replacing them
	PillarKeyFile    string `yaml:"pillar_key_file"`    // age identities that open encrypted values
	GitInterval      string `yaml:"git_interval"`       // how often roots in git are looked at
}

// Roots are the roots of each environment (Salt's saltenv), the first first. In a file they are one directory, a list of
// roots, or a mapping of environments to either; a root that is no directory is a mapping with the key git.
type Roots map[string][]Root

// Root is a directory, or what a ref of a git repository has.
type Root struct {
	Dir  string `yaml:"dir"`
	Git  string `yaml:"git"`  // URL
	Ref  string `yaml:"ref"`  // branch, tag or commit; empty: the repository's default
	Path string `yaml:"path"` // below the repository's top
}

// baseEnv is the environment of those that name none.
const baseEnv = "base"

// DecodeNode reads one of the forms.
func (r *Roots) DecodeNode(n *yaml.Node) error {
	if n.Kind() != yaml.Mapping || n.Get("git") != nil || n.Get("dir") != nil {
		list, err := roots(n)
		*r = Roots{baseEnv: list}
		return err
	}
	*r = Roots{}
	var errs []error
	for _, p := range n.Pairs() {
		list, err := roots(p.Value)
		(*r)[p.Key.Text()] = list
		errs = append(errs, err)
	}
	return yaml.Join(errs...)
}

func roots(n *yaml.Node) ([]Root, error) {
	items := []*yaml.Node{n}
	if n.Kind() == yaml.Sequence {
		items = n.Items()
	}
	var list []Root
	var errs []error
	for _, item := range items {
		var root Root
		if item.Kind() == yaml.Scalar {
			root.Dir = item.Text()
		} else {
			errs = append(errs, item.Decode(&root))
		}
		if (root.Dir == "") == (root.Git == "") {
			errs = append(errs, item.Errorf("a root is a directory, or a mapping with git: URL"))
		}
		list = append(list, root)
	}
	return list, yaml.Join(errs...)
}

func defaultStates() States {
	return States{
		Root: Roots{baseEnv: {{Dir: "/srv/salt"}}}, Pillar: Roots{baseEnv: {{Dir: "/srv/pillar"}}}, PillarMerging: "smart", GitInterval: "1m",
	}
}

func (s *States) settings() []setting {
	return []setting{
		{"states.pillar_merging", "how pillar files are merged: smart, recurse, overwrite, aggregate, list or none", &s.PillarMerging, oneOf("smart", "recurse", "overwrite", "aggregate", "list", "none")},
		{"states.pillar_key_file", "file with the age identities that open encrypted pillar values", &s.PillarKeyFile, nil},
		{"states.git_interval", "how often roots in git are looked at", &s.GitInterval, interval},
	}
}
