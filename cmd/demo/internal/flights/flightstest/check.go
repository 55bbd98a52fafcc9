package flightstest

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// Checker reads the files that runs of the demo emit, in the order of their names, and holds each against the input:
//
//   - its result is the aggregate of exactly the rows that its own cut names, and its records are their number;
//   - its epoch is above the one before, and is the one in its name;
//   - no source's cut is below the one before.
//
// It can be asked again while files are added. After an error it is of no further use.
type Checker[F flights.EpochFile] struct {
	head    func(F) flights.EpochHead
	verify  func(F) error // moves the oracle to the file's cut and compares
	total   map[string]uint64
	checked map[string]bool
	last    flights.EpochHead
}

// NewBoardChecker returns a checker of a board run with that many sources.
func NewBoardChecker(rows []flights.Flight, sources int) *Checker[flights.BoardFile] {
	oracle := NewBoardOracle(rows, sources)
	return &Checker[flights.BoardFile]{
		head:    func(f flights.BoardFile) flights.EpochHead { return f.EpochHead },
		total:   oracle.Total(),
		checked: map[string]bool{},
		verify: func(f flights.BoardFile) error {
			if err := oracle.Advance(f.Cut); err != nil {
				return err
			}
			return asError(diffMaps("airport", f.Airports, oracle.Board()))
		},
	}
}

// NewRouteDaysChecker returns a checker of a routedays run with that many sources, on a store of that many vnodes.
func NewRouteDaysChecker(rows []flights.Flight, sources, capacity int) *Checker[flights.RouteDaysFile] {
	oracle := NewRouteDaysOracle(rows, sources, capacity)
	return &Checker[flights.RouteDaysFile]{
		head:    func(f flights.RouteDaysFile) flights.EpochHead { return f.EpochHead },
		total:   oracle.Total(),
		checked: map[string]bool{},
		verify: func(f flights.RouteDaysFile) error {
			if err := oracle.Advance(f.Cut); err != nil {
				return err
			}
			return asError(diffRouteDays(f.RouteDays, oracle.RouteDays()))
		},
	}
}

// Check checks the files named epoch-*.json that were not checked yet.
// The first thing that is wrong ends it: a [*Mismatch], or why a file cannot be read.
func (c *Checker[F]) Check(dir fs.FS) error {
	names, err := fs.Glob(dir, "epoch-*.json") // sorted by name
	if err != nil {
		return err
	}
	for _, name := range names {
		if c.checked[name] {
			continue
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if err := c.next(name, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checker[F]) next(name string, text []byte) error {
	file, err := flights.ParseEpochFile[F](text)
	if err != nil {
		return fmt.Errorf("check %s: %w", name, err)
	}
	head := c.head(file)
	if err := inFile(name, c.checkHead(name, head)); err != nil {
		return err
	}
	if err := inFile(name, c.verify(file)); err != nil {
		return err
	}
	c.checked[name], c.last = true, head
	return nil
}

func (c *Checker[F]) checkHead(name string, head flights.EpochHead) error {
	if head.Epoch <= c.last.Epoch {
		return &Mismatch{What: "epoch", Got: fmt.Sprint(head.Epoch), Want: fmt.Sprintf("above %d, the epoch before", c.last.Epoch)}
	}
	if want := flights.EpochFileName(head.Epoch); name != want {
		return &Mismatch{What: "name", Got: name, Want: want}
	}
	if want := flights.NewEpochHead(head.Epoch, head.Cut).Records; head.Records != want {
		return &Mismatch{What: "records", Got: fmt.Sprint(head.Records), Want: fmt.Sprintf("%d, the sum of the cut", want)}
	}
	return nil
}

// Files returns how many files were checked.
func (c *Checker[F]) Files() int { return len(c.checked) }

// Last returns what the newest checked file says of itself.
func (c *Checker[F]) Last() flights.EpochHead { return c.last }

// Complete reports whether the newest checked file holds every row of the input.
func (c *Checker[F]) Complete() bool {
	for source, rows := range c.total {
		if c.last.Cut[source] != rows {
			return false
		}
	}
	return true
}

// inFile names the file in a mismatch.
func inFile(name string, err error) error {
	var m *Mismatch
	if errors.As(err, &m) {
		m.File = name
	}
	return err
}

// asError keeps a nil mismatch a nil error.
func asError(m *Mismatch) error {
	if m == nil {
		return nil
	}
	return m
}
