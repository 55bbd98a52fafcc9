package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

func exportCommand(args []string, s streams) error {
	var where place
	f := newFlags("export", "Prints every key of a state and what is kept of it, a JSON object a line, as of the newest sealed epoch.")
	where.register(f)
	epoch := f.Uint64("epoch", 0, "an older `N` that is still retained or pinned")
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	if err := wrongFlags(f, where.required()); err != nil {
		return err
	}
	ctx := context.Background()
	return where.read(ctx, func(r *reader) error {
		rec, err := r.recordOf(ctx, r.newest, vnode.Epoch(*epoch))
		if err != nil {
			return err
		}
		j, err := jobOf(rec.Identity)
		if err != nil {
			return err
		}
		if err := j.export(ctx, r.objects, rec, s.out); err != nil {
			return fmt.Errorf("export epoch %d: %w", rec.Epoch, err)
		}
		return nil
	})
}

// recordOf returns the newest record up to newest, or kept by a pin, that says that e is sealed; newest for epoch 0.
func (r *reader) recordOf(ctx context.Context, newest *backend.Record, e vnode.Epoch) (*backend.Record, error) {
	if p, found := newest.PinOf(e); found {
		return r.ledger.Pinned(ctx, newest, p)
	}
	var there []string
	for rec, err := range r.ledger.Retained(ctx, newest) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("look for epoch %d: %w", e, err)
		case e == 0 || rec.Epoch == e:
			return rec, nil
		}
		if n := fmt.Sprint(rec.Epoch); len(there) == 0 || there[len(there)-1] != n {
			there = append(there, n)
		}
	}
	return nil, fmt.Errorf("epoch %d is neither retained nor pinned; these are: %s", e, strings.Join(there, " "))
}

// exported is a line of an export.
type exported[S any] struct {
	Key   string `json:"key"`
	State *S     `json:"state"`
}

func (p *program[K, S, R, F]) export(ctx context.Context, objects backend.Objects, rec *backend.Record, w io.Writer) error {
	keys, codec := vnode.NewKeyOps[K](), p.app(rec.Identity.Capacity).StateCodec
	buffered := bufio.NewWriterSize(w, 1<<16)
	lines := json.NewEncoder(buffered)
	err := backend.Export(ctx, objects, rec, func(_ vnode.ID, encoded, value []byte) error {
		key, err := keys.Decode(encoded)
		if err != nil {
			return err
		}
		var state S
		if err := codec.Decode(value, &state); err != nil {
			return fmt.Errorf("key %v: %w", key, err)
		}
		return lines.Encode(exported[S]{fmt.Sprint(key), &state})
	})
	return errors.Join(err, buffered.Flush())
}
