package backend

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Load reads a config from a TOML file; see [Parse].
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("load config: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return Config{}, fmt.Errorf("load config %s: %w", path, err)
	}
	return c, nil
}

// Parse reads a valid config from TOML: tables [state], [state.storage], [cluster], [cluster.tls], [cluster.gossip] and
// [cluster.limits]. It reports everything that is wrong at once: unknown keys and wrong types beside what
// [Config.Validate] finds. A key that is given counts as given even if its value is the default. Each error that
// concerns a key is a [*ConfigError].
func Parse(data []byte) (Config, error) {
	var doc map[string]any
	if err := toml.Unmarshal(data, &doc); err != nil {
		return Config{}, syntaxError(err)
	}
	r := configReader{keys: map[string]configKey{}, tables: map[string]bool{}}
	for _, k := range configKeys() {
		r.keys[k.name] = k
		for i, b := range k.name {
			if b == '.' {
				r.tables[k.name[:i]] = true
			}
		}
	}
	r.check.file = map[string]bool{}
	r.check.wrong = map[string]bool{}
	r.table("", doc)
	r.check.run()
	if err := errors.Join(r.check.errs...); err != nil {
		return Config{}, err
	}
	return r.check.config, nil
}

// syntaxError says where the file is wrong. The parser's own message may repeat a secret: it is not shown.
func syntaxError(err error) error {
	const want = "not valid TOML, or a key given twice: want key = value, strings in quotes"
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return errors.New(want)
	}
	return fmt.Errorf("line %d, near key %q: %s", parse.Position.Line, parse.LastKey, want)
}

// configReader fills the config that its check then validates.
type configReader struct {
	keys   map[string]configKey
	tables map[string]bool
	check  configCheck
}

func (r *configReader) table(prefix string, doc map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		full := prefix + name
		k, isKey := r.keys[full]
		inner, isTable := doc[name].(map[string]any)
		switch {
		case strings.Contains(name, ".") || !isKey && !r.tables[full]:
			r.unknown(full)
		case isKey:
			r.set(k, doc[name])
		case !isTable:
			r.check.add(full, "", &configFault{"is a value", "write it as a table, [" + full + "]"})
		default:
			r.table(full+".", inner)
		}
	}
}

// unknown does not show the value: under a misspelt key it may be a secret.
func (r *configReader) unknown(name string) {
	remedy := "remove it"
	if near := nearest(name, slices.Collect(maps.Keys(r.keys))); near != "" {
		remedy = "remove it, or did you mean " + near + "?"
	}
	r.check.add(name, "", &configFault{"is not a key of this configuration", remedy})
}

func (r *configReader) set(k configKey, v any) {
	r.check.file[k.name] = true
	if err := decodeValue(k.field(&r.check.config), v); err != nil {
		r.check.add(k.name, "", &configFault{err.Error(), "correct it"})
	}
}

// decodeValue stores a TOML value in a field. Its errors begin with a verb and show no value that may be a secret.
func decodeValue(field, v any) error {
	switch p := field.(type) {
	case *string:
		return assign(p, v, "a string")
	case *bool:
		return assign(p, v, "true or false")
	case *int:
		return decodeInt(p, v)
	case *[]string:
		return decodeStrings(p, v)
	case **VnodeList:
		return decodeList(p, v)
	case *Secret:
		return decodeSecretInto(p, v)
	case *Size:
		if n, ok := v.(int64); ok {
			*p = Size(n)
			return nil
		}
	}
	return decodeText(field.(encoding.TextUnmarshaler), v)
}

func assign[T any](p *T, v any, want string) error {
	value, ok := v.(T)
	if !ok {
		return wrongType(v, want)
	}
	*p = value
	return nil
}

func decodeInt(p *int, v any) error {
	n, ok := v.(int64)
	if !ok {
		return wrongType(v, "a whole number")
	}
	*p = int(max(math.MinInt32, min(n, math.MaxInt32))) // far beyond every range: 32-bit machines say the same
	return nil
}

func decodeStrings(p *[]string, v any) error {
	items, ok := v.([]any)
	if !ok {
		return wrongType(v, "a list of strings")
	}
	list := make([]string, len(items))
	for i, item := range items {
		if err := assign(&list[i], item, "a list of strings"); err != nil {
			return fmt.Errorf("holds a value that %w", err)
		}
	}
	*p = list
	return nil
}

func decodeList(p **VnodeList, v any) (err error) {
	items, ok := v.([]any)
	if !ok {
		return wrongType(v, `a list of vnode numbers and ranges, as in [0, 1, "8-63"]`)
	}
	*p, err = decodeVnodes(items)
	return err
}

func decodeSecretInto(p *Secret, v any) error {
	s, ok := decodeSecret(v)
	if !ok {
		return errors.New(`is no secret: want { file = "…" }, { env = "…" } or a string that is not empty`)
	}
	*p = s
	return nil
}

func decodeText(p encoding.TextUnmarshaler, v any) error {
	text, ok := v.(string)
	if !ok {
		return wrongType(v, "a string")
	}
	if err := p.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("= %q %w", text, err)
	}
	return nil
}

func wrongType(v any, want string) error {
	return fmt.Errorf("is %s, want %s", typeName(v), want)
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}

// Encode writes a valid config as TOML that [Parse] reads back as an equal one. Secrets are written as file or
// environment reference; one that is held in memory is an error that names its key.
func (c Config) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	var out strings.Builder
	var errs []error
	section := ""
	for k := range c.given {
		dot := strings.LastIndexByte(k.name, '.')
		if table := k.name[:dot]; table != section {
			section = table
			fmt.Fprintf(&out, "[%s]\n", section)
		}
		value, err := k.stored(&c)
		if err != nil {
			errs = append(errs, err)
		}
		fmt.Fprintf(&out, "%s = %s\n", k.name[dot+1:], literal(value))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	return []byte(out.String()), nil
}

// stored returns the key's value for a file. A valid URL holds no secret.
func (k configKey) stored(c *Config) (any, error) {
	switch p := k.field(c).(type) {
	case *Secret:
		ref, ok := p.reference()
		if !ok {
			return nil, &ConfigError{k.name, literal(redacted), "is held in memory and is not written to a file", "give it as SecretFile or SecretEnv"}
		}
		return ref, nil
	case *string:
		return *p, nil
	default:
		return k.shown(c), nil
	}
}

// nearest returns the known key that takes the fewest edits, of those with the same last name or at most two edits away;
// "" if there is none.
func nearest(name string, known []string) string {
	slices.Sort(known)
	best, at := "", math.MaxInt
	for _, k := range known {
		sameLast := k[strings.LastIndexByte(k, '.'):] == name[max(0, strings.LastIndexByte(name, '.')):]
		if !sameLast && (len(name) > len(k)+2 || len(k) > len(name)+2) {
			continue
		}
		if d := editDistance(name, k); d < at && (sameLast || d <= 2) {
			best, at = k, d
		}
	}
	return best
}

// editDistance is Levenshtein's: the least number of bytes to insert, delete or change.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
