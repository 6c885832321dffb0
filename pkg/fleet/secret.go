package fleet

import "log/slog"

// Secret is text that must not be seen: it prints, logs and encodes as **redacted**. Reveal gives the text itself.
type Secret string

const redacted = "**redacted**"

// Reveal returns the secret text. Call it only where the text is used.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return redacted }

// LogValue hides the secret from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
