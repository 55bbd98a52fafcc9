package backend

import (
	"errors"
	"fmt"
)

// Errors of [Objects].
var (
	ErrNotFound = errors.New("no such object")
	ErrExists   = errors.New("object exists already")
	ErrUnknown  = errors.New("outcome unknown")
	ErrFull     = errors.New("no space left in the store")
	ErrInvalid  = errors.New("a record that cannot be written")
	ErrClosed   = errors.New("store is closed")
)

// CorruptError says that an object is torn, altered, or not what the record that names it says (I10).
type CorruptError struct {
	Object string // its key
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("object %s is corrupt: %s", e.Object, e.Reason)
}

// MissingError says that an object which a retained record names is gone (I10).
type MissingError struct {
	Object  string
	NamedBy string // the object that names it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("object %s, named by %s, is missing", e.Object, e.NamedBy)
}

// ForeignError says that a store belongs to another app or was made with another setting.
type ForeignError struct {
	Key   string // the setting, as the config names it
	Store string // what the store says
	Want  string // what the program says
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("the store was made with %s = %s, this program says %s: use the store's own setting, or another store", e.Key, e.Store, e.Want)
}

// FormatError says that an object was written by a newer release.
type FormatError struct {
	Object    string
	Version   uint32
	Supported uint32
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("object %s has format %d, this release reads up to %d: upgrade the program", e.Object, e.Version, e.Supported)
}

// LockedError says that another process uses the store, or the instance id, now.
type LockedError struct {
	Path   string // the lock file
	Holder string // what the holder wrote about itself; may be empty
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is held by another process (%s): stop it, or use another store or instance_id", e.Path, e.Holder)
}
