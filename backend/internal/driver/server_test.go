package driver_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// fault is what befalls one request: a failure, or a connection that is cut before or after it was done.
type fault struct {
	says failure
	cut  string // "before", "after", or "within" the answer
}

// server speaks one dialect, keeps objects, and goes wrong as it is told.
type server struct {
	t *testing.T
	dialect

	mu      sync.Mutex // guards what follows
	objects map[string][]byte
	faults  []fault
	seen    []string // the operations that were asked for
}

func newServer(t *testing.T, d dialect) (*server, string) {
	t.Helper()
	s := &server{t: t, dialect: d, objects: map[string][]byte{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// open opens a store on a server, and forgets what that asked.
func open(t *testing.T, d dialect) (*server, *backend.Store) {
	t.Helper()
	alone(t)
	s, base := newServer(t, d)
	store := backendtest.Open(t, d.config(base))
	s.will()
	return s, store
}

// will forgets what was asked, and plans what goes wrong from now on.
func (s *server) will(faults ...fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.seen = faults, nil
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("X-Ms-Request-Id", "1")
	a := s.parse(s.t, r)
	s.seen = append(s.seen, a.op)
	var f fault
	if len(s.faults) > 0 {
		f, s.faults = s.faults[0], s.faults[1:]
	}
	switch {
	case f.cut == "before":
		cut()
	case f.cut == "after":
		s.do(httptest.NewRecorder(), r, a)
		cut()
	case f.cut == "within":
		answer := httptest.NewRecorder()
		s.do(answer, r, a)
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("Last-Modified", answer.Header().Get("Last-Modified"))
		_, _ = w.Write(answer.Body.Bytes())
		w.(http.Flusher).Flush()
		cut()
	case f.says == foreign:
		w.Header().Del("X-Ms-Request-Id")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<html><title>404 Not Found</title></html>")
	case f.says != "":
		s.say(w, f.says)
	default:
		s.do(w, r, a)
	}
}

func (s *server) say(w http.ResponseWriter, f failure) { s.fail(w, s.says[f].status, s.says[f].code) }

func cut() { panic(http.ErrAbortHandler) }

// do does what is asked.
func (s *server) do(w http.ResponseWriter, r *http.Request, a asked) {
	stands, found := s.objects[a.key]
	switch {
	case a.op == "write" && a.ifAbsent && found:
		s.say(w, taken)
	case a.op == "write":
		s.objects[a.key] = a.data
		w.WriteHeader(s.wrote)
		if s.name == "gs" {
			s.properties(w, a.key, a.data)
		}
	case !found:
		s.say(w, absent)
	case a.op == "delete":
		delete(s.objects, a.key)
		w.WriteHeader(s.deleted)
	case a.op == "head" && s.name == "gs":
		s.properties(w, a.key, stands)
	default:
		s.get(w, r, stands)
	}
}

func (s *server) properties(w http.ResponseWriter, key string, data []byte) {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	_ = json.NewEncoder(w).Encode(map[string]string{
		"bucket": "bucket", "name": key, "generation": "1", "metageneration": "1", "size": strconv.Itoa(len(data)),
		"crc32c": base64Sum(sum), "updated": time.Now().UTC().Format(time.RFC3339),
	})
}

func (s *server) get(w http.ResponseWriter, r *http.Request, data []byte) {
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("X-Ms-Creation-Time", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"1"`)
	span := r.Header.Get("Range") + r.Header.Get("X-Ms-Range")
	if span == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
		return
	}
	first, last, _ := strings.Cut(strings.TrimPrefix(span, "bytes="), "-")
	from, _ := strconv.Atoi(first)
	to, err := strconv.Atoi(last)
	if err != nil || to >= len(data) {
		to = len(data) - 1
	}
	if from >= len(data) {
		s.say(w, beyond)
		return
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
	w.Header().Set("Content-Length", strconv.Itoa(to+1-from))
	w.WriteHeader(http.StatusPartialContent)
	_, _ = w.Write(data[from : to+1])
}

func base64Sum(sum uint32) string {
	return encode([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}
