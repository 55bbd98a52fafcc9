package flights

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// lateMinutes is the delay above which a flight is late.
const lateMinutes = 15

// BoardState is what the board keeps of an airport: the flights that left it.
type BoardState struct {
	Flights  int64 `json:"flights"`
	DelaySum int64 `json:"delay_sum"` // minutes
	DelayMax int64 `json:"delay_max"` // minutes; it may be negative; 0 as long as there is no flight
	Late     int64 `json:"late"`      // flights more than 15 minutes late
}

// Add counts a flight.
func (s *BoardState) Add(f Flight) {
	one := BoardState{Flights: 1, DelaySum: int64(f.Delay), DelayMax: int64(f.Delay)}
	if f.Delay > lateMinutes {
		one.Late = 1
	}
	s.merge(one)
}

func (s *BoardState) merge(o BoardState) {
	switch {
	case o.Flights == 0:
		return
	case s.Flights == 0:
		*s = o
		return
	}
	s.Flights += o.Flights
	s.DelaySum += o.DelaySum
	s.DelayMax = max(s.DelayMax, o.DelayMax)
	s.Late += o.Late
}

// Board is the result of the board job: every airport that a flight left.
type Board map[Airport]BoardState

// BoardKey is the key of the board job.
func BoardKey(f Flight) Airport { return f.Origin }

// FoldBoard adds one airport's state to a board.
func FoldBoard(b *Board, key Airport, s *BoardState) {
	if *b == nil {
		*b = Board{}
	}
	sum := (*b)[key]
	sum.merge(*s)
	(*b)[key] = sum
}

// MergeBoard adds all of from to into.
func MergeBoard(into *Board, from Board) {
	for airport, s := range from {
		FoldBoard(into, airport, &s)
	}
}

// Total is the state of all airports together.
func (b Board) Total() BoardState {
	var sum BoardState
	for _, s := range b {
		sum.merge(s)
	}
	return sum
}

var (
	_ vnode.Codec[BoardState] = BoardStateCodec{}
	_ vnode.Codec[Board]      = BoardCodec{}
)

// BoardStateCodec writes the four fields as varints.
type BoardStateCodec struct{}

// ID names the encoding.
func (BoardStateCodec) ID() string { return "flights/board-state/1" }

// Append appends s to dst.
func (BoardStateCodec) Append(dst []byte, s *BoardState) ([]byte, error) {
	return appendBoardState(dst, *s), nil
}

// Decode reads into s the state that src is.
func (BoardStateCodec) Decode(src []byte, s *BoardState) error {
	f := fields{bytes: src}
	*s = f.boardState()
	return f.end("board state")
}

func appendBoardState(dst []byte, s BoardState) []byte {
	dst = binary.AppendVarint(dst, s.Flights)
	dst = binary.AppendVarint(dst, s.DelaySum)
	dst = binary.AppendVarint(dst, s.DelayMax)
	return binary.AppendVarint(dst, s.Late)
}

func (f *fields) boardState() BoardState {
	return BoardState{Flights: f.varint(), DelaySum: f.varint(), DelayMax: f.varint(), Late: f.varint()}
}

// BoardCodec writes for each airport, in the order of their codes, its three letters and its state.
type BoardCodec struct{}

// ID names the encoding.
func (BoardCodec) ID() string { return "flights/board/1" }

// Append appends b to dst.
func (BoardCodec) Append(dst []byte, b *Board) ([]byte, error) {
	for _, airport := range slices.SortedFunc(maps.Keys(*b), Airport.Compare) {
		dst = append(dst, airport[:3]...)
		dst = appendBoardState(dst, (*b)[airport])
	}
	return dst, nil
}

// Decode reads into b the board that src is.
func (BoardCodec) Decode(src []byte, b *Board) error {
	*b = nil
	f := fields{bytes: src}
	for last := (Airport{}); len(f.bytes) > 0; {
		airport, ok := parseAirport(f.raw(3))
		if !ok || airport.Compare(last) <= 0 {
			return fmt.Errorf("decode board: an airport behind %q is malformed or out of order: %w", last, ErrEncoding)
		}
		last = airport
		s := f.boardState()
		FoldBoard(b, airport, &s)
	}
	return f.end("board")
}
