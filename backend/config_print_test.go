package backend_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sheaf-go/sheaf/backend"
)

const password = "hunter2"

func secretConfig(s backend.Secret) backend.Config {
	c := backend.ObjectStore("s3://bucket/prefix", "node-0")
	c.Storage.AccessKey, c.Storage.SecretKey = s, s
	return c
}

// leaky holds the password wherever a config could hold one; valid or not, it is never shown.
func leaky() map[string]backend.Config {
	s := backend.SecretValue(password)
	storage := backend.Storage{
		Endpoint: "http://user:" + password + "@host", AccessKey: s, SecretKey: s, SessionToken: s, Credentials: s,
	}
	configs := map[string]backend.Config{"storage": {Backend: backend.KindObjectStore, Storage: storage}}
	for _, url := range []string{
		"s3://key:" + password + "@bucket/p", "s3://" + password + "@bucket", "s3://b?secret=" + password, "s3://b?" + password,
		"s3://b?X-Amz-Signature=" + password, "azblob://c?sv=1&sig=" + password, "s3://b#" + password, "s3://b?a=%zz" + password,
		"s3://key:" + password + "/x@bucket", "key:" + password + "@bucket", password + "@bucket", "s3:/key:" + password + "@b",
		"s3:key:" + password + "@b", "s3://b?endpoint=http://u:" + password + "@h", "file:///x?token=" + password, "ftp://u:" + password + "@h",
	} {
		configs[url] = backend.ObjectStore(url, "n")
	}
	return configs
}

func TestNoFormOfAConfigShowsASecret(t *testing.T) {
	for name, c := range leaky() {
		for form, text := range forms(t, c) {
			if strings.Contains(text, password) {
				t.Errorf("%s as %s shows the secret: %s", name, form, text)
			}
		}
	}
}

func forms(t *testing.T, c backend.Config) map[string]string {
	t.Helper()
	all := map[string]string{"error": fmt.Sprint(c.Validate()), "String": c.String()}
	holder := struct{ hidden backend.Config }{c} // fmt reaches unexported fields past every method
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		all[verb] = fmt.Sprintf(verb, c)
		all["pointer "+verb] = fmt.Sprintf(verb, &c)
		all["list "+verb] = fmt.Sprintf(verb, []any{c, c.Storage.SecretKey, &c.Storage.SecretKey})
		if c.URL == "" {
			all["hidden "+verb] = strings.ReplaceAll(fmt.Sprintf(verb, holder), "user:"+password, "")
		}
	}
	_, err := c.Encode()
	all["Encode"] = fmt.Sprint(err)
	_, err = backend.ParseURL(c.URL)
	all["ParseURL"] = fmt.Sprint(err)
	all["json"] = marshalled(t, json.Marshal, c)
	all["json of a secret"] = marshalled(t, json.Marshal, c.Storage.SecretKey)
	all["toml of a secret"] = marshalled(t, toml.Marshal, map[string]any{"s": c.Storage.SecretKey})
	all["zap"] = zapped(t, zap.Any("config", c), zap.Object("c", c), zap.Reflect("r", c), zap.Any("s", c.Storage.SecretKey))
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", c, "s", c.Storage.SecretKey)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", c, "s", c.Storage.SecretKey)
	all["slog"] = out.String()
	return all
}

func marshalled(t *testing.T, marshal func(any) ([]byte, error), v any) string {
	t.Helper()
	data, err := marshal(v)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return string(data)
}

func zapped(t *testing.T, fields ...zap.Field) string {
	t.Helper()
	buf, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(zapcore.Entry{}, fields)
	if err != nil {
		t.Fatalf("log: %v", err)
	}
	return buf.String()
}

func TestAConfigIsPrintedByItsKeys(t *testing.T) {
	c := secretConfig(backend.SecretValue(password))
	c.Storage.SecretKey = backend.SecretFile("/run/secret")
	c.Vnodes = backend.ListVnodes(backend.VnodeRange{First: 1, Last: 1}, backend.VnodeRange{First: 8, Last: 63})
	const want = `{state.backend = "object_store", state.url = "s3://bucket/prefix", state.instance_id = "node-0", ` +
		`state.vnodes = [1, "8-63"], state.storage.access_key = "(redacted)", state.storage.secret_key = "file:/run/secret"}`
	if got := fmt.Sprint(c); got != want {
		t.Errorf("print\n got %s\nwant %s", got, want)
	}
	const wantJSON = `{"state":{"backend":"object_store","instance_id":"node-0","storage":{"access_key":"(redacted)",` +
		`"secret_key":"file:/run/secret"},"url":"s3://bucket/prefix","vnodes":[1,"8-63"]}}`
	if got := marshalled(t, json.Marshal, c); got != wantJSON {
		t.Errorf("json\n got %s\nwant %s", got, wantJSON)
	}
}
