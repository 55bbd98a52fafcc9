package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lan is a network of a test's own: one network namespace per place, and a wire between any two, either direction of which
// can be cut. It is gone with the test and the processes in it, however they end.
type lan struct {
	t    *testing.T
	home *os.File
	at   []*os.File // namespaces, by place
}

// newLan returns a network where everybody reaches everybody. The error is of a system that lets nobody have such a thing:
// it takes root, or unshare -r.
func newLan(t *testing.T, places int) (*lan, error) {
	t.Helper()
	l := &lan{t: t}
	t.Cleanup(l.close)
	var err error
	if l.home, err = os.Open("/proc/thread-self/ns/net"); err != nil { // the process's first thread may be away for another test
		return nil, err
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("iproute2 is not installed: %w", err)
	}
	for range places {
		if err := l.add(); err != nil {
			return nil, err
		}
	}
	for a := range places {
		for b := range a {
			if err := l.wire(a, b); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

func (l *lan) close() {
	for _, f := range append(l.at, l.home) {
		_ = f.Close() // nil is none
	}
}

// add makes the namespace of one place more.
func (l *lan) add() error {
	return l.away(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		ns, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		l.at = append(l.at, ns)
		return run("link set lo up")
	})
}

// within does something in the namespace of a place. A process that it starts stays there.
func (l *lan) within(place int, do func() error) error {
	return l.away(func() error { return unix.Setns(int(l.at[place].Fd()), unix.CLONE_NEWNET) }, do)
}

// away does something on a thread that goes elsewhere, and brings it back. One that cannot come back is given up.
func (l *lan) away(leave, do func() error) (err error) {
	runtime.LockOSThread()
	if err := leave(); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	defer func() {
		back := unix.Setns(int(l.home.Fd()), unix.CLONE_NEWNET)
		if back == nil {
			runtime.UnlockOSThread()
		}
		err = errors.Join(err, back)
	}()
	return do()
}

func (l *lan) address(place int) string { return fmt.Sprintf("10.77.0.%d", place+1) }

// hardware is the address of the end of a wire, in the namespace of one place, towards another.
func hardware(of, to int) string { return fmt.Sprintf("02:77:00:00:%02x:%02x", of, to) }

// wire connects two places.
func (l *lan) wire(a, b int) error {
	err := l.within(a, func() error {
		return run(fmt.Sprintf("link add to%d address %s type veth peer name to%d address %s netns /proc/self/fd/3",
			b, hardware(a, b), a, hardware(b, a)), l.at[b])
	})
	return errors.Join(err, l.face(a, b), l.face(b, a))
}

// face sets up one end of a wire.
func (l *lan) face(of, to int) error {
	return l.within(of, func() error {
		return errors.Join(
			run(fmt.Sprintf("address add %s peer %s dev to%d", l.address(of), l.address(to), to)),
			run(fmt.Sprintf("link set to%d up", to)),
			run(fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev to%d", l.address(to), hardware(to, of), to)),
		)
	})
}

// cut makes everything vanish that one place sends to another. The sender does not notice, and what is sent the other way
// arrives.
func (l *lan) cut(from, to int) { l.send(from, to, "02:77:ff:ff:ff:ff") }

// heal undoes cut.
func (l *lan) heal(from, to int) { l.send(from, to, hardware(to, from)) }

// send sends what one place has for another to a hardware address.
func (l *lan) send(from, to int, hardware string) {
	l.t.Helper()
	err := l.within(from, func() error {
		return run(fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev to%d", l.address(to), hardware, to))
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// run runs the program ip, where this thread is.
func run(args string, files ...*os.File) error {
	cmd := exec.Command("ip", strings.Fields(args)...)
	cmd.ExtraFiles = files
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}
