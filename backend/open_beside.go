package backend

import (
	"context"
	"fmt"
)

// OpenBeside opens a store that is there, to change its ledger beside whoever runs it: to pin (see [Ledger.Amend]) and
// to collect ([Ledger.Collect]). Both are safe beside any number of owners, so it takes no lock. A store that is not
// there is [fs.ErrNotExist]; so is one in memory.
func (c Config) OpenBeside(ctx context.Context) (*Store, error) {
	s, err := c.OpenReader(ctx)
	if err != nil {
		return nil, err
	}
	dir, onDisk, err := c.location()
	if err != nil || !onDisk {
		return s, err
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
