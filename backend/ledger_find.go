package backend

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	ledgerPrefix  = "ledger/"
	recordPrefix  = "ledger/0" // of every record's number; the floors, of which there are many, are left out
	floorPrefix   = "ledger/floor/"
	headKey       = "ledger/head"
	segmentPrefix = "segment/"
)

// hintEvery is the number of records from one hint to the next. A search from a lost or old hint costs a few gets more.
const hintEvery = 64

func recordKey(seq uint64) string { return fmt.Sprintf("%s%020d", ledgerPrefix, seq) }

// recordSeq returns the sequence number of a record's key; false for other keys.
func recordSeq(key string) (uint64, bool) {
	digits, ok := strings.CutPrefix(key, ledgerPrefix)
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, ok && err == nil && recordKey(seq) == key
}

// head is the hint: a record that stood once, and the number of the floor that it named. Any of it may be wrong.
type head struct {
	seq uint64
	k   uint64
}

func (h head) encode() []byte { return fmt.Appendf(nil, "%020d %d\n", h.seq, h.k) }

// hint reads the hint. One that is lost, or none, or cannot be read, is zero.
func (l *Ledger) hint(ctx context.Context) head {
	var h head
	data, err := l.objects.Get(ctx, headKey, Range{})
	if err != nil {
		return h
	}
	if _, err := fmt.Sscanf(string(data), "%d %d\n", &h.seq, &h.k); err != nil {
		return head{}
	}
	return h
}

// Newest returns the newest record: from, if nothing newer stands. From is a record that the ledger returned or
// created; nil searches from the hint. It never lists history: as long as from is newest it takes two gets.
//
// The records from the floor on are all there, so that a search between one that is present and one that is absent
// cannot be misled. Below the floor it can, by names that are free or, worse, were revived by a sleeper. Hence the
// floors are looked at last: a search that ended below one begins again there (I9).
func (l *Ledger) Newest(ctx context.Context, from *Record) (*Record, error) {
	if from == nil {
		found, err := l.start(ctx)
		if err != nil {
			return nil, err
		}
		from = found
	}
	for {
		newest, err := l.climb(ctx, from)
		if err != nil {
			return nil, err
		}
		floor, err := l.lastFloor(ctx, newest.Floor.K)
		if err != nil {
			return nil, err
		}
		if floor.Seq <= newest.Seq {
			return newest, nil
		}
		if from, err = l.standing(ctx, floor); err != nil {
			return nil, err
		}
	}
}

// climb returns the last record present above from.
func (l *Ledger) climb(ctx context.Context, from *Record) (*Record, error) {
	var data []byte // of the last record found
	seq, err := lastPresent(from.Seq, func(seq uint64) (bool, error) {
		found, err := l.objects.Get(ctx, recordKey(seq), Range{})
		if err == nil {
			data = found
		}
		return present(err)
	})
	if err != nil {
		return nil, fmt.Errorf("search the newest record above %d: %w", from.Seq, err)
	}
	if data == nil {
		return from, nil
	}
	return l.codec.decode(seq, data)
}

// present tells an absent object from a failed read.
func present(err error) (bool, error) {
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// lastPresent returns the last number of an unbroken run that begins with from. It probes upward in growing steps, then
// between the last present and the first absent: about twice the logarithm of the distance, and one probe for none.
// The last probe that found something found what is returned.
func lastPresent(from uint64, probe func(uint64) (bool, error)) (uint64, error) {
	low, high, step := from, from+1, uint64(1)
	for {
		found, err := probe(high)
		if err != nil {
			return 0, err
		}
		if !found {
			break
		}
		low, high, step = high, high+step, 2*step
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		found, err := probe(middle)
		if err != nil {
			return 0, err
		}
		if found {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// start returns some record to search from: the hinted one, or else the one at the last floor.
func (l *Ledger) start(ctx context.Context) (*Record, error) {
	hint := l.hint(ctx)
	if hint.seq > 0 {
		r, err := l.get(ctx, hint.seq)
		if !errors.Is(err, ErrNotFound) {
			return r, err
		}
	}
	floor, err := l.lastFloor(ctx, hint.k)
	if err != nil {
		return nil, err
	}
	return l.standing(ctx, floor)
}

// standing returns the record at the floor, or at one published meanwhile.
func (l *Ledger) standing(ctx context.Context, floor Floor) (*Record, error) {
	for {
		r, err := l.get(ctx, floor.Seq)
		if !errors.Is(err, ErrNotFound) {
			return r, err
		}
		next, err := l.lastFloor(ctx, floor.K)
		switch {
		case err != nil:
			return nil, err
		case next.K > floor.K:
			floor = next
		case floor.K > 0:
			return nil, &MissingError{Object: recordKey(floor.Seq), NamedBy: floorKey(floor.K)}
		default:
			return l.first(ctx)
		}
	}
}

// first is asked where neither a floor nor a genesis record was seen. It tells a store that is empty from one that
// began a moment ago, and both from one that lost its genesis record (I10).
func (l *Ledger) first(ctx context.Context) (*Record, error) {
	witness := ""
	for _, prefix := range []string{ledgerPrefix, segmentPrefix} {
		err := l.objects.List(ctx, prefix, func(key string, _ int64) bool {
			witness = key
			return false
		})
		if err != nil {
			return nil, fmt.Errorf("look for a ledger: %w", err)
		}
		if witness != "" {
			break
		}
	}
	if witness == "" {
		return nil, ErrEmpty
	}
	r, err := l.get(ctx, 0)
	if !errors.Is(err, ErrNotFound) {
		return r, err
	}
	floor, err := l.lastFloor(ctx, 0)
	if err != nil {
		return nil, err
	}
	if floor.K > 0 {
		return l.standing(ctx, floor)
	}
	return nil, &MissingError{Object: recordKey(0), NamedBy: witness}
}
