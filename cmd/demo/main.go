package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
)

func main() { os.Exit(demo(os.Args[1:], os.Stdout, os.Stderr)) }

// command is one of the things that the demo does.
type command struct {
	name  string
	short string
	run   func(args []string, s streams) error
}

// streams is where a command writes: results to out, everything else to notes.
type streams struct{ out, notes io.Writer }

func commands() []command {
	return []command{
		{"run", "count flights; without --state in memory, with it for good", runCommand},
		{"cluster", "count as run does, with several processes of this machine", clusterCommand},
		{"node", "count as one member of a cluster", nodeCommand},
		{"certs", "make an authority and certificates for the members of a cluster", certsCommand},
		{"inspect", "show what the newest record of a state says", inspectCommand},
		{"verify", "check that everything that a state retains is whole", verifyCommand},
		{"export", "print all keys of an epoch as JSON lines", exportCommand},
		{"pin", "keep an epoch of a state under a name", pinCommand},
		{"unpin", "drop a pin", unpinCommand},
		{"gc", "delete what nothing in a state reaches any more", gcCommand},
	}
}

// demo carries out a command line and returns the exit code.
func demo(args []string, out, notes io.Writer) int {
	err := dispatch(args, streams{out: out, notes: notes})
	if err == nil {
		return 0
	}
	fmt.Fprintf(notes, "demo: %v\n", err)
	var wrong *usageError
	var stopped *stoppedError
	switch {
	case errors.As(err, &wrong):
		return 2
	case errors.As(err, &stopped):
		return stopped.code()
	}
	return 1
}

func dispatch(args []string, s streams) error {
	if len(args) == 0 {
		return runCommand(nil, s)
	}
	name, rest := args[0], args[1:]
	if name == "help" && len(rest) == 1 {
		name, rest = rest[0], []string{"-h"}
	}
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		return writeUsage(s.out)
	}
	for _, c := range commands() {
		if c.name != name {
			continue
		}
		if err := c.run(rest, s); !errors.Is(err, flag.ErrHelp) {
			return err
		}
		return nil
	}
	return &usageError{fmt.Errorf("no command %q; see demo help", name)}
}

func writeUsage(w io.Writer) error {
	text := "Demo counts flights of US airlines with Sheaf, exactly once whatever crashes.\n\n" +
		"  demo            the built-in sample, state in memory\n"
	for _, c := range commands() {
		text += fmt.Sprintf("  demo %-10s %s\n", c.name, c.short)
	}
	_, err := io.WriteString(w, text+"\nFlags of a command: demo help COMMAND.\n")
	return err
}
