package backend

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const redacted = "(redacted)"

// Secret is a password or token, or says where to read it. In a TOML file it is one of
//
//	secret_key = { file = "/run/secrets/store" }    # the file's content without trailing line breaks
//	secret_key = { env = "STORE_SECRET" }
//	secret_key = "the secret itself"
//
// Every printed or marshalled form of a Secret shows the reference, never the secret. Its zero value is no secret.
type Secret struct {
	value     *string // behind a pointer, so that fmt does not reach it inside unexported fields either
	file, env string
}

// SecretValue returns a secret held in memory. A config that holds one cannot be encoded to TOML.
func SecretValue(value string) Secret { return Secret{value: &value} }

// SecretFile returns a secret that is read from a file when it is needed.
func SecretFile(path string) Secret { return Secret{file: path} }

// SecretEnv returns a secret that is read from an environment variable when it is needed.
func SecretEnv(name string) Secret { return Secret{env: name} }

// IsZero reports whether s is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// Reveal returns the secret, read anew from its file or environment variable; "" if s is zero. A reference that leads
// to nothing is an error.
func (s Secret) Reveal() (string, error) {
	switch {
	case s.value != nil:
		return *s.value, nil
	case s.file != "":
		data, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return s.read(strings.TrimRight(string(data), "\r\n"))
	case s.env != "":
		return s.read(os.Getenv(s.env))
	default:
		return "", nil
	}
}

func (s Secret) read(value string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("read secret: %s is empty", s)
	}
	return value, nil
}

// String returns "file:PATH", "env:NAME", "(redacted)", or "" if s is zero.
func (s Secret) String() string {
	switch {
	case s.value != nil:
		return redacted
	case s.file != "":
		return "file:" + s.file
	case s.env != "":
		return "env:" + s.env
	default:
		return ""
	}
}

// Format writes String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns String: JSON and every encoder that knows text sees no secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// decodeSecret reads what a TOML file says. Its errors do not repeat the value.
func decodeSecret(v any) (Secret, bool) {
	switch v := v.(type) {
	case string:
		return SecretValue(v), v != ""
	case map[string]any:
		file, isFile := v["file"].(string)
		env, isEnv := v["env"].(string)
		return Secret{file: file, env: env}, len(v) == 1 && (isFile && file != "" || isEnv && env != "")
	default:
		return Secret{}, false
	}
}

// reference returns s as a TOML file says it; false if s is held in memory.
func (s Secret) reference() (map[string]any, bool) {
	if s.file != "" {
		return map[string]any{"file": s.file}, true
	}
	return map[string]any{"env": s.env}, s.value == nil
}
