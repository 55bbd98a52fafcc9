package flights

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
)

// sample is January 2001 as the package comment describes it. It is never written to.
//
//go:embed sample.csv.zst
var sample string

// SampleName is the name of the built-in input.
const SampleName = "sample.csv.zst"

// Input is a file of flights, decoded once for all its readers: they share a window of its newest blocks.
// A reader that falls behind the window, or is opened behind it, decodes the file for itself; what it reads is the same.
// Its methods may be called from several goroutines.
type Input struct {
	name string
	open func() (io.ReadCloser, error)

	mu     sync.Mutex // guards lead and window
	lead   *blockReader
	window [windowBlocks]*block // block b stands at b % windowBlocks
}

// windowBlocks bounds what the window holds: 524,288 rows, about 19 MB.
const windowBlocks = 64

// Open opens the file at path, whose name must end in .csv or .csv.zst, and checks its header and that it has a row.
func Open(path string) (*Input, error) {
	if !strings.HasSuffix(path, ".csv") && !strings.HasSuffix(path, ".csv.zst") {
		return nil, fmt.Errorf("open input %s: want a name that ends in .csv or .csv.zst", path)
	}
	return newInput(path, func() (io.ReadCloser, error) { return os.Open(path) })
}

// Sample opens the built-in input, January 2001.
func Sample() (*Input, error) {
	return newInput(SampleName, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(sample)), nil })
}

func newInput(name string, open func() (io.ReadCloser, error)) (*Input, error) {
	in := &Input{name: name, open: open}
	lead, err := in.newReader()
	if err != nil {
		return nil, err
	}
	first, err := lead.read()
	if err == io.EOF {
		err = fmt.Errorf("read %s: %w", name, ErrEmpty)
	}
	if err != nil {
		return nil, errors.Join(err, lead.close())
	}
	in.lead, in.window[0] = lead, first
	return in, nil
}

// Name returns the file's path, or [SampleName].
func (in *Input) Name() string { return in.name }

// Close releases the file. Readers of partitions are closed by who opened them.
func (in *Input) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.lead.close()
}

// Fingerprint is a hash of the file's bytes: an input that differs has another one.
func (in *Input) Fingerprint() (uint64, error) {
	file, err := in.open()
	if err != nil {
		return 0, fmt.Errorf("fingerprint input: %w", err)
	}
	hash := xxh3.New()
	_, err = io.Copy(hash, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, fmt.Errorf("fingerprint input %s: %w", in.name, err)
	}
	return hash.Sum64(), nil
}

// Count decodes the whole file and returns how many rows it has.
func (in *Input) Count() (rows uint64, err error) {
	r, err := in.newReader()
	if err != nil {
		return 0, err
	}
	for {
		b, err := r.read()
		if err == io.EOF {
			return rows, r.close()
		}
		if err != nil {
			return 0, errors.Join(err, r.close())
		}
		rows += uint64(len(b.ends))
	}
}

// newReader returns a reader of its own, before the first block.
func (in *Input) newReader() (*blockReader, error) {
	text, err := in.Text()
	if err != nil {
		return nil, err
	}
	return newBlockReader(in.name, text)
}

// Text opens the input's text from its start, decompressed and unchecked.
func (in *Input) Text() (io.ReadCloser, error) {
	file, err := in.open()
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	if !strings.HasSuffix(in.name, ".zst") {
		return file, nil
	}
	// One goroutine decodes: the caller's. Nothing is left running when a reader is dropped.
	decoder, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open input %s: %w", in.name, err), file.Close())
	}
	return &zstdFile{decoder, file}, nil
}

// zstdFile closes a decoder and the file below it.
type zstdFile struct {
	*zstd.Decoder
	file io.Closer
}

func (z *zstdFile) Close() error {
	z.Decoder.Close()
	return z.file.Close()
}

// errBehind is returned for a block that the window does not hold any more.
var errBehind = errors.New("the block is behind the window")

// shared returns block b from the window, which it moves forward to b if need be; io.EOF if the input has no such block.
func (in *Input) shared(ctx context.Context, b uint64) (*block, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := in.step(b)
		if found != nil || err != nil {
			return found, err
		}
	}
}

// step looks for block b in the window, after moving the window by at most one block, so that no reader waits long for another's seek.
func (in *Input) step(b uint64) (*block, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if b+windowBlocks < in.lead.next {
		return nil, errBehind
	}
	if b >= in.lead.next {
		read, err := in.lead.read()
		if err != nil {
			return nil, err
		}
		in.window[(in.lead.next-1)%windowBlocks] = read
	}
	if b >= in.lead.next {
		return nil, nil
	}
	return in.window[b%windowBlocks], nil
}
