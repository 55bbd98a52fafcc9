package main_test

import (
	"strings"
	"testing"
)

func TestWrongCommandLinesSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"frob", []string{`"frob"`, "demo help"}},
		{"run --frob", []string{"-frob", "demo help run"}},
		{"run more", []string{`"more"`}},
		{"run --sources x", []string{`"x"`, "-sources"}},
		{"run --log loud", []string{"loud"}},
		{"run --job flights --sources 0 --epoch 1us --rate -1", []string{
			"--job flights: want board or routedays", "--sources 0: want 1 to 1024", "--epoch 1µs: want 1ms", "--rate -1",
		}},
		{"run --out= --input= --state= --config=", []string{"--out is empty", "--input is empty", "--state is empty", "--config is empty"}},
		{"inspect", []string{"--state is missing"}},
		{"verify", []string{"--state is missing"}},
		{"export", []string{"--state is missing"}},
		{"export --state x --epoch -1", []string{"-epoch"}},
	} {
		got := call(strings.Fields(c.args)...).want(t, 2, c.want...)
		if got.out != "" {
			t.Errorf("demo %s: got %q on the output, want nothing", c.args, got.out)
		}
	}
}

func TestHelpIsAnAnswer(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"help", "demo verify"},
		{"-h", "demo verify"},
		{"help run", "--sources number"},
		{"run -h", "--sources number"},
		{"inspect --help", "--json"},
		{"help verify", "--state directory"},
		{"help export", "--epoch N"},
	} {
		if got := call(strings.Fields(c.args)...).want(t, 0); !strings.Contains(got.out, c.want) || got.notes != "" {
			t.Errorf("demo %s: got %q, notes %q, want %q in the output alone", c.args, got.out, got.notes, c.want)
		}
	}
}
