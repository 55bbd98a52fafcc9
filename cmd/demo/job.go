package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

// topAirports is how many airports the printed board shows.
const topAirports = 20

// jobs returns the jobs by name.
func jobs() map[string]job {
	return map[string]job{
		"board": &program[flights.Airport, flights.BoardState, flights.Board, flights.BoardFile]{
			app:  boardApp,
			file: flights.NewBoardFile,
			print: func(w io.Writer, b flights.Board) error {
				return flights.WriteBoard(w, b, topAirports)
			},
			report: func(f flights.BoardFile, resumed *flights.EpochHead) any {
				return boardReport{f, resumed}
			},
			check: func(rows []flights.Flight, sources, _ int) *flightstest.Checker[flights.BoardFile] {
				return flightstest.NewBoardChecker(rows, sources)
			},
		},
		"routedays": &program[flights.RouteDay, flights.RouteDayState, flights.RouteDays, flights.RouteDaysFile]{
			app:   routeDaysApp,
			file:  flights.NewRouteDaysFile,
			print: flights.WriteRouteDays,
			report: func(f flights.RouteDaysFile, resumed *flights.EpochHead) any {
				return routeDaysReport{f, resumed}
			},
			check: flightstest.NewRouteDaysChecker,
		},
	}
}

func jobNames() string { return strings.Join(slices.Sorted(maps.Keys(jobs())), " or ") }

// appPrefix stands before a job's name in its app's name.
const appPrefix = "flights-"

// jobOf returns the job that a store belongs to.
func jobOf(id backend.Identity) (job, error) {
	j, ok := jobs()[strings.TrimPrefix(id.App, appPrefix)]
	if !ok || !strings.HasPrefix(id.App, appPrefix) {
		return nil, fmt.Errorf("the state belongs to the app %q, want %s followed by %s", id.App, appPrefix, jobNames())
	}
	return j, nil
}

func boardApp(int) sheaf.App[flights.Airport, flights.Flight, flights.BoardState, flights.Board] {
	return sheaf.App[flights.Airport, flights.Flight, flights.BoardState, flights.Board]{
		Name:        appPrefix + "board",
		KeyOf:       flights.BoardKey,
		Update:      func(_ *sheaf.Turn, s *flights.BoardState, f flights.Flight) error { s.Add(f); return nil },
		Fold:        flights.FoldBoard,
		Merge:       flights.MergeBoard,
		StateCodec:  flights.BoardStateCodec{},
		ResultCodec: flights.BoardCodec{},
		EventCodec:  flights.FlightCodec{},
	}
}

func routeDaysApp(capacity int) sheaf.App[flights.RouteDay, flights.Flight, flights.RouteDayState, flights.RouteDays] {
	return sheaf.App[flights.RouteDay, flights.Flight, flights.RouteDayState, flights.RouteDays]{
		Name:        appPrefix + "routedays",
		KeyOf:       flights.RouteDayKey,
		Update:      func(_ *sheaf.Turn, s *flights.RouteDayState, f flights.Flight) error { s.Add(f); return nil },
		Fold:        flights.RouteDaysFold(capacity),
		Merge:       flights.MergeRouteDays,
		StateCodec:  flights.RouteDayStateCodec{},
		ResultCodec: flights.RouteDaysCodec{},
		EventCodec:  flights.FlightCodec{},
	}
}

// boardReport and routeDaysReport are what --json prints: an epoch's file, and where the run began.
type (
	boardReport struct {
		flights.BoardFile
		ResumedFrom *flights.EpochHead `json:"resumed_from,omitempty"`
	}
	routeDaysReport struct {
		flights.RouteDaysFile
		ResumedFrom *flights.EpochHead `json:"resumed_from,omitempty"`
	}
)
