package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// entry is a line of the demo's log.
type entry struct {
	Message string            `json:"msg"`
	Source  string            `json:"source"` // of "source opened"
	From    uint64            `json:"from"`
	Epoch   uint64            `json:"epoch"` // of "progress": newest sealed
	Rows    uint64            `json:"rows"`
	Read    map[string]uint64 `json:"read"` // rows by source
	Flying  int64             `json:"in_flight"`
	Held    []string          `json:"held"`
	Digest  uint64            `json:"digest"` // of "emits": of the file's bytes
}

// process is a run of the demo in a process of its own, which says in its log what it does.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{} // closed when the process has ended and all was read
	err  error         // of its end

	mu     sync.Mutex // guards what follows
	notes  bytes.Buffer
	opened []entry
	emits  []entry
	last   entry // newest progress
	news   chan struct{}
}

// start starts demo run, and kills it at the end of the test if it still runs.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return launch(t, append([]string{"run", "--log", "debug"}, args...)...)
}

// launch starts any command.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{}), news: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), asDemo+"=1")
	p.cmd.Stdout = &p.out
	notes, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.listen(notes)
	t.Cleanup(p.kill)
	return p
}

// listen reads the log to its end. What is no entry is a note, or the line that a kill cut off.
func (p *process) listen(notes io.Reader) {
	lines := bufio.NewScanner(notes)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e = entry{}
		}
		p.hear(e, lines.Text())
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) hear(e entry, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Message {
	case "source opened":
		p.opened = append(p.opened, e)
	case "emits":
		p.emits = append(p.emits, e)
	case "progress":
		p.last = e
		close(p.news)
		p.news = make(chan struct{})
	default:
		p.notes.WriteString(line + "\n")
	}
}

// progress returns the newest progress, and a channel that is closed when there is newer.
func (p *process) progress() (entry, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.news
}

// until waits until progress is such, or the process has ended: then it is false.
func (p *process) until(such func(entry) bool) bool {
	p.t.Helper()
	patience := time.After(time.Minute)
	for {
		last, news := p.progress()
		if such(last) {
			return true
		}
		select {
		case <-news:
		case <-p.done:
			return false
		case <-patience:
			p.t.Fatalf("demo %q: no news for a minute; the last was %+v", p.cmd.Args, last)
		}
	}
}

// pause waits some time, or until the process has ended: then it is false.
func (p *process) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.done:
		return false
	}
}

// kill ends the process as a crash would, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// end waits until the process ends by itself.
func (p *process) end() answer {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.t.Fatalf("demo %q: still runs after two minutes; notes:\n%s", p.cmd.Args, p.notes.String())
	}
	return answer{p.cmd.Args[1:], p.cmd.ProcessState.ExitCode(), p.out.String(), p.notes.String()}
}
