package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/vnode"
)

func verifyCommand(args []string, s streams) error {
	var where place
	f := newFlags("verify", "Reads everything that a state retains and names each object that is missing, damaged or out of its chain.")
	where.register(f)
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	if err := wrongFlags(f, where.required()); err != nil {
		return err
	}
	ctx := context.Background()
	return where.read(ctx, func(r *reader) error {
		v, err := r.verify(ctx)
		if err != nil {
			return err
		}
		pinned := ""
		if v.pinned > 0 {
			pinned = fmt.Sprintf(" and %d older pinned ones", v.pinned)
		}
		_, err = fmt.Fprintf(s.out, "whole: epochs %d to %d%s, %s records, %s segments of %s bytes\n", v.oldest, v.newest, pinned,
			flights.Count(int64(v.Records)), flights.Count(int64(v.Segments)), flights.Count(v.Bytes))
		return err
	})
}

// verified is what was found whole.
type verified struct {
	backend.Verified
	oldest, newest vnode.Epoch
	floor          uint64
	pinned         int // records below the floor
}

// verifyTries bounds how often a state that is collected under our eyes is looked at anew.
const verifyTries = 5

// verify returns everything that is wrong. What a collection took meanwhile is not: then it begins again.
func (r *reader) verify(ctx context.Context) (v verified, err error) {
	for range verifyTries {
		v, err = r.verifyOnce(ctx)
		if err == nil {
			return v, nil
		}
		newest, searchErr := r.ledger.Newest(ctx, r.newest)
		if searchErr != nil {
			return v, errors.Join(err, searchErr)
		}
		if newest.Floor == r.newest.Floor && slices.Equal(newest.Pins, r.newest.Pins) {
			return v, err
		}
		r.newest = newest
	}
	return v, err
}

func (r *reader) verifyOnce(ctx context.Context) (verified, error) {
	v := verified{oldest: r.newest.Epoch, newest: r.newest.Epoch, floor: r.newest.Floor.Seq}
	var faults []error
	done, err := backend.Verify(ctx, r.objects, v.seen(r.ledger.Retained(ctx, r.newest)), func(fault error) { faults = append(faults, fault) })
	v.Verified = done
	return v, errors.Join(append(faults, err, r.ledger.CheckEnd(ctx, r.newest))...)
}

// seen notes the epochs of records.
func (v *verified) seen(records iter.Seq2[*backend.Record, error]) iter.Seq2[*backend.Record, error] {
	return func(yield func(*backend.Record, error) bool) {
		for rec, err := range records {
			if rec != nil && rec.Seq < v.floor {
				v.pinned++
			} else if rec != nil {
				v.oldest = rec.Epoch
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}
