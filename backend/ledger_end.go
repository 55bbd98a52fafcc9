package backend

import (
	"context"
	"fmt"
)

// CheckEnd looks for what speaks of records above newest, which the ledger returned or created: the hint, and records
// behind a gap. It returns a [MissingError] of the record that then must follow newest and is not there: the end of the
// ledger is lost, or the hint is wrong. A search for the newest record cannot tell, since it never lists history; this
// lists what is retained.
func (l *Ledger) CheckEnd(ctx context.Context, newest *Record) error {
	last, witness := l.hint(ctx).seq, headKey
	err := l.objects.List(ctx, recordPrefix, func(key string, _ int64) bool {
		if seq, ok := recordSeq(key); ok && seq > last {
			last, witness = seq, key
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("look for the end of the ledger: %w", err)
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
