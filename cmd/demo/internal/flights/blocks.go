package flights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// blockRows is the number of rows in every block but the last: row r stands in block r/blockRows, whoever decodes it.
const blockRows = 8192

// longestRow bounds a line in bytes, so that a file that is no CSV does not fill the memory.
const longestRow = 4096

var (
	// ErrEmpty is returned for an input without a single row.
	ErrEmpty = errors.New("the input has no rows")
	// ErrTruncated is returned for an input that ends within a line or within its compressed data.
	ErrTruncated = errors.New("the input is cut off")
)

// block is a run of consecutive rows. It does not change once it is made.
type block struct {
	text []byte
	ends []uint32 // where each row's newline stands in text
}

// row returns the i-th row of the block, without its newline.
func (b *block) row(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = b.ends[i-1] + 1
	}
	return b.text[from:b.ends[i]]
}

// blockReader cuts the text of an input into blocks. It owns the text's reader.
type blockReader struct {
	name string
	text io.ReadCloser
	next uint64 // the block that read returns next
	line uint64 // lines returned so far, the header too
	rest []byte // text read beyond the last block
	err  error  // what ended the text, as its reader says it

	failed error // why no more blocks can be read; every later read returns it too
}

// newBlockReader checks the header and returns a reader of the rows behind it.
func newBlockReader(name string, text io.ReadCloser) (*blockReader, error) {
	r := &blockReader{name: name, text: text}
	head, err := r.lines(1)
	if err == nil && string(bytes.TrimSuffix(head.row(0), []byte("\r"))) != Header {
		err = fmt.Errorf("read %s: line 1: want the header %q, got %q", name, Header, clip(head.row(0)))
	}
	if err == io.EOF {
		err = fmt.Errorf("read %s: %w", name, ErrEmpty)
	}
	if err != nil {
		return nil, errors.Join(err, text.Close())
	}
	return r, nil
}

// read returns the next block. The error is io.EOF after the last one.
func (r *blockReader) read() (*block, error) {
	b, err := r.lines(blockRows)
	if err != nil {
		return nil, err
	}
	r.next++
	return b, nil
}

// lines returns the next n lines, or as many as are left. The error is io.EOF if none is left.
func (r *blockReader) lines(n int) (*block, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	const usualRow = 36
	text := append(make([]byte, 0, max(n*usualRow, len(r.rest)+longestRow)), r.rest...)
	ends := make([]uint32, 0, n)
	from := 0 // where the first line without a known end starts
	for {
		for len(ends) < n {
			i := bytes.IndexByte(text[from:], '\n')
			if i < 0 {
				break
			}
			from += i + 1
			ends = append(ends, uint32(from-1))
		}
		if len(ends) == n {
			break
		}
		if len(text)-from > longestRow {
			return nil, r.fail(ends, fmt.Errorf("the line is longer than %d bytes", longestRow))
		}
		if r.err != nil {
			return r.last(text, from, ends)
		}
		text = r.fill(text)
	}
	r.rest = text[from:]
	r.line += uint64(n)
	return &block{text: text[:from], ends: ends}, nil
}

// fill reads more text behind what there is.
func (r *blockReader) fill(text []byte) []byte {
	if cap(text)-len(text) < longestRow {
		text = append(make([]byte, 0, 2*cap(text)+longestRow), text...)
	}
	var n int
	n, r.err = r.text.Read(text[len(text):cap(text)])
	return text[:len(text)+n]
}

// last returns the last block, once the text has ended: a file that ends within a line may have been cut off.
func (r *blockReader) last(text []byte, from int, ends []uint32) (*block, error) {
	r.rest = nil
	switch {
	case errors.Is(r.err, io.ErrUnexpectedEOF):
		return nil, r.fail(ends, fmt.Errorf("%w: its compressed data stops short", ErrTruncated))
	case r.err != io.EOF:
		return nil, r.fail(ends, r.err)
	case from < len(text):
		return nil, r.fail(ends, fmt.Errorf("%w: it ends within the line %q", ErrTruncated, clip(text[from:])))
	case len(ends) == 0:
		return nil, io.EOF
	default:
		r.line += uint64(len(ends))
		return &block{text: text, ends: ends}, nil
	}
}

// fail names the line that could not be read; the lines before it have the given ends.
func (r *blockReader) fail(ends []uint32, err error) error {
	r.failed = fmt.Errorf("read %s: line %d: %w", r.name, r.line+uint64(len(ends))+1, err)
	return r.failed
}

func (r *blockReader) close() error { return r.text.Close() }
