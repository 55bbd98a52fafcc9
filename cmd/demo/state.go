package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// reader is a state that is used beside its owner, without a lock.
type reader struct {
	store   *backend.Store
	objects backend.Objects
	ledger  *backend.Ledger
	newest  *backend.Record
}

// read opens a state for the time of a function.
func (p *place) read(ctx context.Context, do func(*reader) error) error {
	config, err := p.open()
	if err != nil {
		return err
	}
	return readState(ctx, config, do)
}

// beside opens a state for the time of a function that may write records.
func (p *place) beside(ctx context.Context, do func(*reader) error) error {
	config, err := p.open()
	if err != nil {
		return err
	}
	store, err := config.OpenBeside(ctx)
	if err != nil {
		return err
	}
	return useState(ctx, store, func(r *reader) error {
		err := do(r)
		_ = r.ledger.Close(ctx) // only a hint is lost
		return err
	})
}

func readState(ctx context.Context, config backend.Config, do func(*reader) error) error {
	store, err := config.OpenReader(ctx)
	if err != nil {
		return err
	}
	return useState(ctx, store, do)
}

// useState closes the store behind a function.
func useState(ctx context.Context, store *backend.Store, do func(*reader) error) error {
	var err error
	r := &reader{store: store, objects: store.Objects()}
	if r.ledger, r.newest, err = backend.OpenReader(ctx, r.objects); err != nil {
		err = fmt.Errorf("read state: %w", err)
	} else {
		err = do(r)
	}
	return errors.Join(err, store.Close())
}

// cutOf returns the positions of all sources at a record's sealed epoch.
func cutOf(rec *backend.Record) map[string]uint64 {
	cut := make(map[string]uint64, len(rec.Cuts))
	for _, c := range rec.Cuts {
		cut[c.Source] = c.At
	}
	return cut
}

// headOf says which rows a record's sealed epoch holds.
func headOf(rec *backend.Record) flights.EpochHead {
	return flights.NewEpochHead(uint64(rec.Epoch), cutOf(rec))
}
