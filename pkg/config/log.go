package config

// Log says what a daemon writes to its standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

func (l *Log) settings() []setting {
	return []setting{
		{"log.level", "what is logged: debug, info, warn or error", &l.Level, oneOf("debug", "info", "warn", "error")},
		{"log.format", "how it is logged: text or json", &l.Format, oneOf("text", "json")},
	}
}
