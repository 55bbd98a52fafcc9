package backend

import (
	"context"
	"fmt"
)

// CheckEnd looks for what speaks of records above newest, which the ledger returned or created: the hint, and records
// behind a gap. It returns a [MissingError] of the record that then must follow newest and is not there: the end of the
// ledger is lost, or the hint is wrong. A search for the newest record cannot tell, since it never lists history; this
// lists at most two blocks of a thousand names, those in which the gap would begin. Of a longer gap the hint tells.
func (l *Ledger) CheckEnd(ctx context.Context, newest *Record) error {
	last, witness := l.hint(ctx).seq, headKey
	for next := newest.Seq + 1; last <= newest.Seq && next <= newest.Seq+1+endBlock; next += endBlock {
		key := recordKey(next)
		err := l.objects.List(ctx, key[:len(key)-endDigits], func(key string, _ int64) bool {
			if seq, ok := recordSeq(key); ok && seq > newest.Seq {
				last, witness = seq, key
			}
			return last <= newest.Seq
		})
		if err != nil {
			return fmt.Errorf("look for the end of the ledger: %w", err)
		}
	}
	if last <= newest.Seq {
		return nil
	}
	now, err := l.Newest(ctx, newest)
	if err != nil || last <= now.Seq {
		return err
	}
	return &MissingError{Object: recordKey(now.Seq + 1), NamedBy: witness}
}

// The names of a block of records differ in their last digits. A page of a listing holds as many.
const (
	endDigits = 3
	endBlock  = 1000
)
