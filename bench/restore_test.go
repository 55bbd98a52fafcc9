package bench_test

import (
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// BenchmarkRestore opens an instance on sealed state: small states that take their time to decode, and large ones that
// no compression makes smaller. Its limit is a plain read of the files that hold the state. Both come from the
// operating system's cache; digests are checked, and every key is put into its slice, by the restore alone.
func BenchmarkRestore(b *testing.B) {
	b.Run("counters", func(b *testing.B) {
		benchRestore(b, sum(), scale[uint64](500_000, 10_000_000), 16, func(i uint64) event { return event{keyOf(i), int64(i)} })
	})
	b.Run("blobs", func(b *testing.B) {
		r := rand.New(rand.NewSource(1))
		benchRestore(b, blobs(), scale[uint64](200_000, 2_000_000), 104, func(i uint64) blobEvent {
			e := blobEvent{key: keyOf(i)}
			r.Read(e.blob[:])
			return e
		})
	})
}

func benchRestore[E, S any](b *testing.B, app sheaf.App[uint64, E, S, int64], keys uint64, size int, nth func(uint64) E) {
	cfg := sheaf.Config{State: backend.Local(b.TempDir()), Epoch: time.Hour}
	fill(b, cfg, app, keys, nth)
	var opens, reads rates
	for b.Loop() {
		for range rounds() {
			began := time.Now()
			stored := readSegments(b, cfg.State.Path)
			reads.add(time.Since(began), 1)
			began = time.Now()
			in, err := sheaf.Open(b.Context(), cfg, app)
			if err != nil {
				b.Fatal(err)
			}
			opens.add(time.Since(began), 1)
			closeInstance(b, in.Close)
			b.ReportMetric(float64(stored)/1e6, "stored-MB")
		}
	}
	hideTime(b)
	state := float64(keys) * float64(size)
	b.ReportMetric(state/1e6, "state-MB")
	b.ReportMetric(state/1e6/(opens.median()/1e9), "MB/s")
	b.ReportMetric(state/1e6/(reads.median()/1e9), "plain-read-MB/s")
	b.ReportMetric(opens.over(reads), "x-plain-read")
	b.ReportMetric(opens.median()/float64(keys), "ns/key")
}

func fill[E, S any](b *testing.B, cfg sheaf.Config, app sheaf.App[uint64, E, S, int64], keys uint64, nth func(uint64) E) {
	in, err := sheaf.Open(b.Context(), cfg, app)
	if err != nil {
		b.Fatal(err)
	}
	defer closeInstance(b, in.Close)
	p, err := in.Producer(b.Context(), "fill")
	if err != nil {
		b.Fatal(err)
	}
	for i := range keys {
		if _, err := p.Send(b.Context(), nth(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// readSegments reads every segment and returns their size.
func readSegments(b *testing.B, dir string) (size int64) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.ToSlash(path), "/segment/") {
			return err
		}
		data, err := os.ReadFile(path)
		size += int64(len(data))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}

type blobEvent struct {
	key  uint64
	blob [96]byte
}

func blobs() sheaf.App[uint64, blobEvent, [96]byte, int64] {
	return sheaf.App[uint64, blobEvent, [96]byte, int64]{
		Name:       "blobs",
		KeyOf:      func(e blobEvent) uint64 { return e.key },
		Update:     func(_ *sheaf.Turn, s *[96]byte, e blobEvent) error { *s = e.blob; return nil },
		StateCodec: blobCodec{},
	}
}

// blobCodec encodes a blob as it is.
type blobCodec struct{}

func (blobCodec) ID() string { return "blob" }

func (blobCodec) Append(dst []byte, s *[96]byte) ([]byte, error) { return append(dst, s[:]...), nil }

func (blobCodec) Decode(src []byte, s *[96]byte) error {
	if copy(s[:], src) != len(src) || len(src) != len(s) {
		return io.ErrUnexpectedEOF
	}
	return nil
}
