package config

import (
	"io"
	"log/slog"
)

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

// Logger returns a logger that writes to w as l says.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(l.Level)) != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
