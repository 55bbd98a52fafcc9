package actors

import (
	"context"
	"fmt"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Pin seals everything sent before and keeps the newest sealed epoch, which holds it, under a name.
func (in *Instance[K, E, S, R]) Pin(ctx context.Context, name string) (vnode.Epoch, error) {
	if err := backend.CheckPinName(name); err != nil {
		return 0, err
	}
	if err := in.flush(ctx); err != nil {
		return 0, fmt.Errorf("pin %q: %w", name, err)
	}
	began, epoch := in.newest.Load().rec, vnode.Epoch(0)
	err := in.askAnew(ctx, func(rec *backend.Record) error {
		if pin, stands := rec.PinNamed(name); stands && pin.Seq >= began.Seq {
			epoch = pin.Epoch // a coordinator before made it, and did not answer
			return nil
		}
		a, err := in.ask(ctx, Request{Pin: name, Version: rec.Term})
		epoch = a.Epoch
		return err
	})
	return epoch, err
}

// Unpin drops a pin.
func (in *Instance[K, E, S, R]) Unpin(ctx context.Context, name string) error {
	if err := backend.CheckPinName(name); err != nil {
		return err
	}
	was, stood := in.newest.Load().rec.PinNamed(name)
	return in.askAnew(ctx, func(rec *backend.Record) error {
		if now, _ := rec.PinNamed(name); stood && now != was {
			return nil // a coordinator before dropped it, and did not answer
		}
		_, err := in.ask(ctx, Request{Unpin: name, Version: rec.Term})
		return err
	})
}

// Pins lists the pins of the store, by name. Others may have written them: it searches the newest record.
func (in *Instance[K, E, S, R]) Pins(ctx context.Context) ([]backend.Pin, error) {
	rec, err := in.ledger.Newest(ctx, in.newest.Load().rec)
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", in.because(err))
	}
	return rec.Pins, nil
}
