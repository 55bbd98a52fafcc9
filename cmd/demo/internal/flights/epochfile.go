package flights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sheaf-go/sheaf/vnode"
)

// EpochHead says which rows an epoch's result holds.
type EpochHead struct {
	Epoch   uint64            `json:"epoch"`
	Cut     map[string]uint64 `json:"cut"`     // source -> rows
	Records uint64            `json:"records"` // the sum of the cut
}

// NewEpochHead counts the records of a cut.
func NewEpochHead(epoch uint64, cut map[string]uint64) EpochHead {
	if cut == nil {
		cut = map[string]uint64{}
	}
	return EpochHead{Epoch: epoch, Cut: cut, Records: sum(cut)}
}

func sum(cut map[string]uint64) (records uint64) {
	for _, rows := range cut {
		records += rows
	}
	return records
}

// BoardFile is the object of one epoch of the board job.
type BoardFile struct {
	EpochHead
	Airports Board `json:"airports"`
}

// RouteDaysFile is the object of one epoch of the routedays job.
type RouteDaysFile struct {
	EpochHead
	RouteDays
}

// EpochFile is either of the two.
type EpochFile interface{ BoardFile | RouteDaysFile }

// EpochFileName returns the name of an epoch's object; names sort like epochs.
func EpochFileName(epoch uint64) string { return fmt.Sprintf("epoch-%020d.json", epoch) }

// NewBoardFile returns the object of an epoch of the board job.
func NewBoardFile(epoch uint64, cut map[string]uint64, b Board) BoardFile {
	if b == nil {
		b = Board{}
	}
	return BoardFile{NewEpochHead(epoch, cut), b}
}

// NewRouteDaysFile returns the object of an epoch of the routedays job.
func NewRouteDaysFile(epoch uint64, cut map[string]uint64, r RouteDays) RouteDaysFile {
	if r.Vnodes == nil {
		r.Vnodes = map[vnode.ID]Digest{}
	}
	return RouteDaysFile{NewEpochHead(epoch, cut), r}
}

// MarshalEpochFile returns the JSON of an epoch's object, one line. Equal results have equal bytes.
func MarshalEpochFile[F EpochFile](file F) ([]byte, error) {
	text, err := json.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("write epoch file: %w", err)
	}
	return append(text, '\n'), nil
}

// ParseEpochFile reads the JSON of an epoch's object. Unknown fields and text behind the object are errors.
func ParseEpochFile[F EpochFile](text []byte) (file F, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return file, fmt.Errorf("parse epoch file: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return file, errors.New("parse epoch file: there is text behind the object")
	}
	return file, nil
}
