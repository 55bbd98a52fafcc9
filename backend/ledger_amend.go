package backend

import (
	"context"
	"fmt"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
)

// amendTries bounds how often a record is tried whose outcome stays unknown.
const amendTries = 3

// Amend appends a record beside whoever coordinates the store, or where nobody does: the successor of the newest record,
// as change makes it. Change is given the successor and the record that it follows, and again whenever another writer
// was first; it leaves term, assignment, epoch and emitted alone, and its error ends the call. From is a record that
// the ledger returned or created, or nil. An error that is [ErrUnknown] leaves open whether the record will stand.
func (l *Ledger) Amend(ctx context.Context, writer vnode.Member, from *Record, change func(n, newest *Record) error) (*Record, error) {
	for {
		newest, err := l.Newest(ctx, from)
		if err != nil {
			return nil, fmt.Errorf("amend the ledger: %w", err)
		}
		n := newest.Next(writer, time.Now())
		if err := change(n, newest); err != nil {
			return nil, err
		}
		outcome, stands, err := l.insist(ctx, n)
		switch outcome {
		case Won:
			return n, nil
		case Lost:
			from = stands
		case Void: // it slept: what it knows is collected
			from = nil
		case Unknown:
			return nil, err
		}
	}
}

// insist appends a record, a few times while nobody can tell whether it stands.
func (l *Ledger) insist(ctx context.Context, n *Record) (outcome Outcome, stands *Record, err error) {
	for range amendTries {
		if outcome, stands, err = l.Append(ctx, n); outcome != Unknown || ctx.Err() != nil {
			break
		}
	}
	return outcome, stands, err
}
