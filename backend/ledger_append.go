package backend

import (
	"context"
	"errors"
	"fmt"
)

// Outcome says what became of an [Ledger.Append].
type Outcome int

// The outcomes of an append.
const (
	// Unknown: the record may stand, or come to stand. Nobody may be told anything and no other record may be tried
	// until the same record was appended again with another outcome, or the writer steps down.
	Unknown Outcome = iota
	// Won: the record stands and is in force.
	Won
	// Lost: another record stands at that sequence.
	Lost
	// Void: the sequence is below a floor. The writer slept, and what stands there means nothing: it steps down.
	Void
)

// String names the outcome.
func (o Outcome) String() string { return [...]string{"unknown", "won", "lost", "void"}[o] }

// Append tries once to create rec, made with [Record.Next] from a record that the ledger returned or created. It
// returns the record that stands: rec itself if Won, the winner if Lost. The error says why an outcome is Unknown, and
// is nil for the others; unless it is [ErrUnknown], nothing was written by this call, and if it is [ErrInvalid] nothing
// ever will be. It takes one create and, as a rule, one get.
func (l *Ledger) Append(ctx context.Context, rec *Record) (Outcome, *Record, error) {
	data, sum, err := l.codec.encode(rec)
	if err != nil {
		return Unknown, nil, fmt.Errorf("append: %w: %w", ErrInvalid, err)
	}
	switch err := l.finishFloor(ctx, rec); {
	case errors.Is(err, ErrCollected): // what rec extends is gone already
		return Void, nil, nil
	case err != nil:
		return Unknown, nil, fmt.Errorf("append record %d: %w", rec.Seq, err)
	}
	createErr := l.objects.Create(ctx, recordKey(rec.Seq), data)
	stands := rec
	switch {
	case createErr == nil:
		rec.digest, rec.size = sum, int64(len(data))
	case errors.Is(createErr, ErrExists) || errors.Is(createErr, ErrUnknown):
		if stands, err = l.readBack(ctx, rec); err != nil {
			return Unknown, nil, inDoubt(rec, createErr, err)
		}
	default:
		return Unknown, nil, fmt.Errorf("append record %d: %w", rec.Seq, createErr)
	}
	return l.judge(ctx, rec, stands, createErr)
}

// readBack returns what stands in the place of rec: rec itself if it is, nil if nothing does.
func (l *Ledger) readBack(ctx context.Context, rec *Record) (*Record, error) {
	r, err := l.get(ctx, rec.Seq)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case r.Nonce == rec.Nonce:
		rec.digest, rec.size = r.digest, r.size
		return rec, nil
	}
	return r, nil
}

// judge looks at the floors before anything is said about a creation (I9). They are followed from the number of the
// record that rec extends, which is rec's own, or one less if rec raises the floor; the lower is always right.
func (l *Ledger) judge(ctx context.Context, rec, stands *Record, createErr error) (Outcome, *Record, error) {
	floor, err := l.lastFloor(ctx, max(rec.Floor.K, 1)-1)
	switch {
	case err != nil:
		return Unknown, nil, inDoubt(rec, createErr, err)
	case rec.Seq < floor.Seq:
		return Void, nil, nil
	case stands == nil:
		return Unknown, nil, inDoubt(rec, createErr, nil)
	case stands != rec:
		return Lost, stands, nil
	}
	l.remember(rec)
	return Won, rec, nil
}

func inDoubt(rec *Record, createErr, err error) error {
	if !errors.Is(createErr, ErrUnknown) {
		err = errors.Join(ErrUnknown, err)
	}
	return fmt.Errorf("append record %d: %w", rec.Seq, errors.Join(createErr, err))
}

// remember notes the newest record created here.
func (l *Ledger) remember(rec *Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rec.Seq > l.won.seq {
		l.won = head{seq: rec.Seq, k: rec.Floor.K}
	}
}

// Hint hints at the newest record created here, for the next search, if the last hint is some records old. Whoever
// appends calls it when nobody waits. The error is for the log: without the hint nothing is lost but a few gets.
func (l *Ledger) Hint(ctx context.Context) error { return l.hintAt(ctx, hintEvery) }

// Close hints at the newest record created here, if there is one that no hint told of.
func (l *Ledger) Close(ctx context.Context) error { return l.hintAt(ctx, 1) }

// hintAt puts the hint if it would be that many records newer than the last one.
func (l *Ledger) hintAt(ctx context.Context, newer uint64) error {
	l.mu.Lock()
	won, last := l.won, l.hinted
	if won.seq < last+newer {
		l.mu.Unlock()
		return nil
	}
	l.hinted = won.seq // whoever comes meanwhile need not put the same
	l.mu.Unlock()
	if err := l.objects.Put(ctx, headKey, won.encode()); err != nil {
		return fmt.Errorf("put the hint: %w", err)
	}
	return nil
}
