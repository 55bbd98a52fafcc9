package main

import (
	"context"
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// source is a partition of the input as an instance reads it. An input that cannot be read will not get better: it ends
// the run.
type source struct {
	part flights.Partition
	fail func(error)
	log  *zap.Logger
}

var _ sheaf.Source[flights.Flight] = source{}

// Open begins behind the first offset rows.
func (s source) Open(ctx context.Context, offset uint64) (sheaf.Reader[flights.Flight], error) {
	s.log.Info("source opened", zap.String("source", s.part.Name()), zap.Uint64("from", offset))
	rows, err := s.part.Open(ctx, offset)
	if err != nil {
		s.failed(ctx, err)
		return nil, err
	}
	return &sourceRows{rows, s}, nil
}

func (s source) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.fail(err)
	}
}

type sourceRows struct {
	*flights.Rows
	source source
}

// Read reads rows.
func (r *sourceRows) Read(ctx context.Context, into []flights.Flight) (int, error) {
	n, err := r.Rows.Read(ctx, into)
	if err != nil && !errors.Is(err, io.EOF) {
		r.source.failed(ctx, err)
	}
	return n, err
}
