package backend

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// OpenBeside opens a store that is there, to change its ledger beside whoever runs it: to pin (see [Ledger.Amend]) and
// to collect ([Ledger.Collect]). Both are safe beside any number of owners, so it takes no lock. A store that is not
// there is [fs.ErrNotExist]; so is one in memory.
func (c Config) OpenBeside(ctx context.Context) (*Store, error) {
	s, err := c.OpenReader(ctx)
	if err != nil {
		return nil, err
	}
	dir, onDisk := c.LocalDir()
	if !onDisk {
		return s, nil
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	temp, err := openTempDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.place(), err)
	}
	return c.onDisk(openFileDriver(dir, temp), nil), nil
}
