package backend_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

func TestSecretIsReadFromWhereItSays(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("SHEAF_TEST_SECRET", password)
	t.Setenv("SHEAF_TEST_EMPTY", "")
	tests := []struct {
		secret  backend.Secret
		want    string
		wantErr string
	}{
		{backend.Secret{}, "", ""},
		{backend.SecretValue(password), password, ""},
		{backend.SecretFile(write("a", password+"\r\n")), password, ""},
		{backend.SecretFile(write("b", " two words ")), " two words ", ""},
		{backend.SecretFile(write("c", "\n")), "", "is empty"},
		{backend.SecretFile(filepath.Join(dir, "absent")), "", "absent"},
		{backend.SecretEnv("SHEAF_TEST_SECRET"), password, ""},
		{backend.SecretEnv("SHEAF_TEST_EMPTY"), "", "env:SHEAF_TEST_EMPTY is empty"},
	}
	for _, test := range tests {
		got, err := test.secret.Reveal()
		if got != test.want || (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("reveal %v: %q, %v; want %q, error %q", test.secret, got, err, test.want, test.wantErr)
		}
	}
}
