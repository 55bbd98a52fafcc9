package flights

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Partition is one of N sources that share an input: its rows are I, I+N, I+2N and so on, where row 0 is the first behind the header.
// An offset counts the rows of this source that were consumed.
type Partition struct {
	Input *Input
	I, N  int
	Pace  *Pace // shared by all partitions; nil = as fast as they are read
}

// Partitions returns the n partitions of an input.
func Partitions(in *Input, n int, pace *Pace) []Partition {
	parts := make([]Partition, n)
	for i := range parts {
		parts[i] = Partition{Input: in, I: i, N: n, Pace: pace}
	}
	return parts
}

// Name returns the source's name: flights-<I>.
func (p Partition) Name() string { return SourceName(p.I) }

// SourceName returns the name of the i-th source.
func SourceName(i int) string { return fmt.Sprintf("flights-%d", i) }

// Open returns a reader whose first row is the one behind the first offset rows of this source.
// An offset beyond the source's last row is an error: the rows were consumed from another input.
func (p Partition) Open(ctx context.Context, offset uint64) (*Rows, error) {
	rows := &Rows{part: p, next: p.row(offset)}
	if offset == 0 {
		return rows, nil
	}
	err := io.EOF
	if offset <= mostRows {
		_, err = rows.find(ctx, p.row(offset-1))
	}
	if err == nil {
		return rows, nil
	}
	if err == io.EOF {
		err = fmt.Errorf("open %s of %s at offset %d: %w", p.Name(), p.Input.Name(), offset, ErrBeyond)
	}
	return nil, errors.Join(err, rows.Close())
}

// mostRows is more than any input has; times N it does not overflow.
const mostRows = 1 << 40

// ErrBeyond is returned for an offset beyond an input's end.
var ErrBeyond = errors.New("the input has fewer rows; is it another input than before?")

func (p Partition) row(offset uint64) uint64 { return offset*uint64(p.N) + uint64(p.I) }

// Rows reads a partition. It belongs to one goroutine.
type Rows struct {
	part Partition
	next uint64       // the row of the input that Read returns next
	at   *block       // the block that find returned last
	of   uint64       // its number
	own  *blockReader // decodes for this reader alone once it was behind the window; nil before
}

// Read parses rows into its argument and returns how many: fewer than fit at the end of a block, none and io.EOF at the end.
// It waits if the partition has a pace. Rows before a malformed one are returned first.
func (r *Rows) Read(ctx context.Context, into []Flight) (int, error) {
	b, err := r.find(ctx, r.next)
	if err != nil {
		return 0, err
	}
	step := r.part.N
	first := int(r.next % blockRows)
	left := (len(b.ends) - first + step - 1) / step
	into = into[:min(len(into), left)]
	if pace := r.part.Pace; pace != nil {
		n, err := pace.due(ctx, r.next, step, len(into))
		if err != nil {
			return 0, err
		}
		into = into[:n]
	}
	for i := range into {
		text := b.row(first + i*step)
		f, wrong := parseRow(text)
		if wrong != none {
			return r.stop(i, wrong, text)
		}
		into[i] = f
	}
	r.next += uint64(len(into) * step)
	return len(into), nil
}

// stop ends a Read at its n-th row, which is malformed: the next Read starts with it.
func (r *Rows) stop(n int, wrong column, text []byte) (int, error) {
	r.next += uint64(n * r.part.N)
	if n > 0 {
		return n, nil
	}
	const header = 1
	return 0, newRowError(r.part.Input.Name(), r.next+1+header, wrong, text)
}

// Close releases what the reader holds.
func (r *Rows) Close() error {
	if r.own == nil {
		return nil
	}
	own := r.own
	r.own = nil
	return own.close()
}

// find returns the block that holds a row, io.EOF if the input has no such row. Rows are asked for in ascending order.
func (r *Rows) find(ctx context.Context, row uint64) (*block, error) {
	number := row / blockRows
	if r.at == nil || r.of != number {
		b, err := r.part.Input.shared(ctx, number)
		if err == errBehind {
			b, err = r.alone(ctx, number)
		}
		if err != nil {
			return nil, err
		}
		r.at, r.of = b, number
	}
	if int(row%blockRows) >= len(r.at.ends) {
		return nil, io.EOF
	}
	return r.at, nil
}

// alone decodes up to block number without the other readers.
func (r *Rows) alone(ctx context.Context, number uint64) (b *block, err error) {
	if r.own == nil {
		if r.own, err = r.part.Input.newReader(); err != nil {
			return nil, err
		}
	}
	for r.own.next <= number {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if b, err = r.own.read(); err != nil {
			return nil, err
		}
	}
	return b, nil
}
