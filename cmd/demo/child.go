package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// child is a member of a cluster in a process of its own.
type child struct {
	id   string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and what it said was read
	err  error         // of its end

	mu   sync.Mutex // guards what follows
	at   report
	tail []string // of what it said, newest last
}

// report is where a member says that it stands.
type report struct {
	Message string            `json:"msg"`
	Epoch   uint64            `json:"epoch"`
	Read    map[string]uint64 `json:"read"` // rows by source
}

// tailLines is how much of what a member said is kept.
const tailLines = 40

// startChild starts this program again. What the child says goes to notes, too, if that is asked for.
func startChild(id string, args []string, notes io.Writer, aloud bool) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start member %s: %w", id, err)
	}
	m := &child{id: id, done: make(chan struct{}), cmd: exec.Command(program, args...)} //nolint:noctx // it ends by signals
	bindChild(m.cmd)
	said, err := m.cmd.StderrPipe()
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start member %s: %w", id, err)
	}
	if !aloud {
		notes = io.Discard
	}
	go m.listen(said, notes)
	return m, nil
}

// longestLine bounds a line of what a member says.
const longestLine = 1 << 20

func (m *child) listen(said io.Reader, notes io.Writer) {
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		if m.hear(lines.Bytes()) {
			fmt.Fprintf(notes, "%s: %s\n", m.id, strings.TrimPrefix(lines.Text(), "demo: "))
		}
	}
	_, _ = io.Copy(io.Discard, said) // a longer line: it must not wait for a reader
	m.err = m.cmd.Wait()
	close(m.done)
}

// hear takes a line; true if it is not a report.
func (m *child) hear(line []byte) bool {
	var r report
	m.mu.Lock()
	defer m.mu.Unlock()
	if json.Unmarshal(line, &r) == nil && r.Message == "progress" {
		m.at = r
		return false
	}
	m.tail = append(m.tail, string(line))
	m.tail = m.tail[max(0, len(m.tail)-tailLines):]
	return true
}

// state says in a word how the member is, and where it stands.
func (m *child) state() (string, report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.done:
		if m.err != nil {
			return "failed", m.at
		}
		return "done", m.at
	default:
	}
	if m.at.Message == "" {
		return "starting", m.at
	}
	return "up", m.at
}

// failure says how a member that has ended went wrong; nil if it did not.
func (m *child) failure() error {
	if m.err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Errorf("member %s ended: %w; it said last:\n%s", m.id, m.err, strings.Join(m.tail, "\n"))
}

// signal passes a signal on; where there are none, it ends the process.
func (m *child) signal(s os.Signal) {
	if err := m.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = m.cmd.Process.Kill()
	}
}

// kill ends the process, if it still runs, and waits for that.
func (m *child) kill() {
	_ = m.cmd.Process.Kill()
	<-m.done
}
