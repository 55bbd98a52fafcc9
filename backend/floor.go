package backend

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	floorMagic = "SHEAFFLR"
	floorBody  = 8 + 8
)

func floorKey(k uint64) string { return fmt.Sprintf("%s%d", floorPrefix, k) }

// encodeFloor returns the object of a floor.
func encodeFloor(f Floor) []byte {
	data := openFrame(floorMagic, ledgerFormat, floorBody)
	data = binary.LittleEndian.AppendUint64(data, f.K)
	data = binary.LittleEndian.AppendUint64(data, f.Seq)
	data, _ = closeFrame(data)
	return data
}

// decodeFloor reads the object of floor k. It fails with a [CorruptError] or a [FormatError].
func decodeFloor(k uint64, data []byte) (Floor, error) {
	key := floorKey(k)
	body, _, _, err := readFrame(key, floorMagic, data)
	if err != nil {
		return Floor{}, err
	}
	if len(body) != floorBody {
		return Floor{}, corrupt(key, "its body has %d bytes, not %d", len(body), floorBody)
	}
	f := Floor{K: binary.LittleEndian.Uint64(body), Seq: binary.LittleEndian.Uint64(body[8:])}
	if f.K != k || f.Seq == 0 {
		return Floor{}, corrupt(key, "it holds floor %d at sequence %d", f.K, f.Seq)
	}
	return f, nil
}

func (l *Ledger) getFloor(ctx context.Context, k uint64) (Floor, error) {
	data, err := l.objects.Get(ctx, floorKey(k), Range{})
	if err != nil {
		return Floor{}, fmt.Errorf("read floor %d: %w", k, err)
	}
	return decodeFloor(k, data)
}

// lastFloor follows the floors from number k upward and returns the last one published; the zero Floor if there is none.
// Floors have consecutive numbers, never fall and are never deleted: one that was seen need not be read again, and the
// search upward cannot be misled. As a rule it takes one get, of the floor that is not there yet.
func (l *Ledger) lastFloor(ctx context.Context, k uint64) (Floor, error) {
	top := l.topFloor()
	if k > top.K {
		f, err := l.getFloor(ctx, k)
		switch {
		case err == nil:
			top = f
		case !errors.Is(err, ErrNotFound):
			return Floor{}, err
		}
	}
	last := top
	_, err := lastPresent(top.K, func(k uint64) (bool, error) {
		f, err := l.getFloor(ctx, k)
		if err == nil {
			last = f
		}
		return present(err)
	})
	if err != nil {
		return Floor{}, err
	}
	if last.Seq < top.Seq {
		return Floor{}, corrupt(floorKey(last.K), "it is at sequence %d, floor %d was at %d", last.Seq, top.K, top.Seq)
	}
	l.sawFloor(last)
	return last, nil
}

func (l *Ledger) topFloor() Floor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.top
}

func (l *Ledger) sawFloor(f Floor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.K > l.top.K {
		l.top = f
	}
}

// RaiseFloor makes rec, which [Record.Next] returned, raise the floor to seq (see [PlanFloor]) and reports whether it
// does: a floor is never lowered.
func RaiseFloor(rec *Record, seq uint64) bool {
	if seq <= rec.Floor.Seq || seq >= rec.Seq {
		return false
	}
	rec.Floor = Floor{K: rec.Floor.K + 1, Seq: seq}
	return true
}

// finishFloor sees to it, before rec is created, that the floor before rec's own is published: without it nobody who
// follows the floors would come to rec's. As a rule it was, and nothing is read.
func (l *Ledger) finishFloor(ctx context.Context, rec *Record) error {
	if rec.Floor.K <= 1 || l.topFloor().K >= rec.Floor.K-1 {
		return nil
	}
	last, err := l.lastFloor(ctx, rec.Floor.K-1)
	if err != nil || last.K >= rec.Floor.K-1 {
		return err
	}
	extended, err := l.before(ctx, rec)
	if err != nil {
		return err
	}
	if extended.Floor.K != rec.Floor.K-1 {
		return fmt.Errorf("it names floor %d, the record before it floor %d, and the last one published is %d", rec.Floor.K, extended.Floor.K, last.K)
	}
	return l.publish(ctx, extended.Floor)
}

// publish creates the object of a floor that a record in force names, if it is not there.
func (l *Ledger) publish(ctx context.Context, f Floor) error {
	if f.K <= l.topFloor().K {
		return nil
	}
	createErr := l.objects.Create(ctx, floorKey(f.K), encodeFloor(f))
	if createErr == nil {
		l.sawFloor(f)
		return nil
	}
	if !errors.Is(createErr, ErrExists) && !errors.Is(createErr, ErrUnknown) {
		return fmt.Errorf("publish floor %d: %w", f.K, createErr)
	}
	stands, err := l.getFloor(ctx, f.K)
	switch {
	case err != nil:
		return fmt.Errorf("publish floor %d: %w", f.K, errors.Join(createErr, err))
	case stands != f:
		return corrupt(floorKey(f.K), "it is at sequence %d, the ledger says %d", stands.Seq, f.Seq)
	}
	l.sawFloor(f)
	return nil
}
