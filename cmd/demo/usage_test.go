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
		{"node", []string{"--config is missing"}},
		{"node --config x --job flights --slow -1s --report x", []string{"-report"}},
		{"node --config x --job flights --slow -1s", []string{"--job flights", "--slow -1s"}},
		{"node --config x --since 2026-01-01T00:00:00Z", []string{"--since without --rate"}},
		{"node --config= --state=", []string{"--config is empty", "--state is empty"}},
		{"cluster --state=", []string{"--state is empty"}},
		{"cluster --state x --instances 0 --sources 0", []string{"--instances 0: want 1 to 64", "--sources 0"}},
		{"cluster --state x --rate 2", []string{"--rate 2: want at least a row for each of 3"}},
		{"cluster --state x --chaos kill,stop=5,kill=1ms,stop=soon --dynamic", []string{
			`--chaos "kill": want kill or stop and a time`, `--chaos "stop=5": want a time of 100ms`, `--chaos "kill=1ms": want a time`, "stop=soon",
		}},
		{"cluster --state x --chaos kill=5s", []string{"--chaos: only an elastic cluster goes on: add --dynamic"}},
		{"cluster --state x --chaos frob --dynamic --sources 0", []string{`--chaos "frob": want kill or stop`, "--sources 0"}},
		{"cluster --state x --dynamic --chaos", []string{"-chaos"}},
		{"certs", []string{"--dir is missing"}},
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
		{"help node", "--config file"},
		{"help cluster", "--instances number"},
		{"help certs", "--ids names"},
		{"inspect --help", "--json"},
		{"help verify", "--state directory"},
		{"help export", "--epoch N"},
	} {
		if got := call(strings.Fields(c.args)...).want(t, 0); !strings.Contains(got.out, c.want) || got.notes != "" {
			t.Errorf("demo %s: got %q, notes %q, want %q in the output alone", c.args, got.out, got.notes, c.want)
		}
	}
}
