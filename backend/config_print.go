package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.uber.org/zap/zapcore"
)

var _ zapcore.ObjectMarshaler = Config{}

// given calls yield for each key that c sets, and for state.backend always.
func (c *Config) given(yield func(configKey) bool) {
	for _, k := range configKeys() {
		if (k.name == "state.backend" || !k.isZero(c)) && !yield(k) {
			return
		}
	}
}

// String prints the keys that c sets on one line, secrets redacted.
func (c Config) String() string {
	var parts []string
	for k := range c.given {
		parts = append(parts, k.name+" = "+literal(k.shown(&c)))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Format writes String for every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalJSON writes the keys that c sets in the nesting of the file, secrets redacted: for logs, not to be read back.
func (c Config) MarshalJSON() ([]byte, error) {
	doc := map[string]any{}
	for k := range c.given {
		table, path := doc, strings.Split(k.name, ".")
		last := len(path) - 1
		for _, name := range path[:last] {
			inner, ok := table[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				table[name] = inner
			}
			table = inner
		}
		table[path[last]] = k.shown(&c)
	}
	return json.Marshal(doc)
}

// MarshalLogObject adds the keys that c sets to a log entry, secrets redacted.
func (c Config) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for k := range c.given {
		if err := enc.AddReflected(k.name, k.shown(&c)); err != nil {
			return err
		}
	}
	return nil
}
