package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// setting is one single value of a configuration.
type setting struct {
	key    string // its path in the file: "bus.listen"
	help   string
	target any                // *string, or *fleet.Secret, which is no flag: arguments are seen by all
	check  func(string) error // nil: anything will do
}

func (s setting) path() []string { return strings.Split(s.key, ".") }
func (s setting) flag() string   { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }
func (s setting) env() string {
	return "BRINE_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

func (s setting) secret() bool {
	_, secret := s.target.(*fleet.Secret)
	return secret
}

func (s setting) get() string {
	if secret, ok := s.target.(*fleet.Secret); ok {
		return secret.Reveal()
	}
	return *s.target.(*string)
}

func (s setting) set(text string) {
	if secret, ok := s.target.(*fleet.Secret); ok {
		*secret = fleet.Secret(text)
		return
	}
	*s.target.(*string) = text
}

// register adds the flags of settings. Each flag's default, as its help shows it, is what the target holds now.
func register(fs *pflag.FlagSet, settings []setting) {
	for _, s := range settings {
		if !s.secret() {
			fs.String(s.flag(), s.get(), s.help+" ("+s.env()+")")
		}
	}
}

// load fills cfg, which holds its defaults and whose settings point into it, and checks each setting. It returns the
// file's root, nil when there is no file. Path is the file that the user named; when he named none, fallback may be
// missing.
func load(path, fallback string, flags *pflag.FlagSet, cfg any, settings []setting) (*yaml.Node, error) {
	root, err := readFile(path, fallback)
	if err != nil {
		return nil, err
	}
	errs := []error{root.Decode(cfg)}
	v := viper.New()
	for _, s := range settings {
		if err := bind(v, flags, s); err != nil {
			return nil, err
		}
		if v.IsSet(s.key) {
			s.set(v.GetString(s.key))
		}
		errs = append(errs, checkSetting(s, v, flags, root))
	}
	return root, yaml.Join(errs...)
}

func bind(v *viper.Viper, flags *pflag.FlagSet, s setting) error {
	if err := v.BindEnv(s.key, s.env()); err != nil {
		return fmt.Errorf("bind %s: %w", s.env(), err)
	}
	if flags == nil || flags.Lookup(s.flag()) == nil {
		return nil
	}
	if err := v.BindPFlag(s.key, flags.Lookup(s.flag())); err != nil {
		return fmt.Errorf("bind --%s: %w", s.flag(), err)
	}
	return nil
}

// checkSetting tells a wrong value at the place where it was set.
func checkSetting(s setting, v *viper.Viper, flags *pflag.FlagSet, root *yaml.Node) error {
	if s.check == nil {
		return nil
	}
	err := s.check(s.get())
	switch {
	case err == nil:
		return nil
	case flags != nil && flags.Changed(s.flag()):
		return &yaml.Error{File: "--" + s.flag(), Message: err.Error()}
	case v.IsSet(s.key):
		return &yaml.Error{File: s.env(), Message: err.Error()}
	case root.Get(s.path()...) != nil:
		return root.Get(s.path()...).Errorf("%s: %s", s.key, err)
	default:
		return &yaml.Error{File: s.key, Message: err.Error(), Hint: "set it in the configuration, as --" + s.flag() + " or as " + s.env()}
	}
}

func readFile(path, fallback string) (*yaml.Node, error) {
	named := path != ""
	if !named {
		path = fallback
	}
	data, err := read(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return yaml.Parse(path, data)
}

// read reads no more than what is enough for yaml.Parse to tell that a file is too large.
func read(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, yaml.MaxBytes+1))
}
