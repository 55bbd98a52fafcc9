package sheaf

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
)

// Config says where state stays and at which pace. The zero value works: state in memory, an epoch every second.
type Config struct {
	// State is the store: [backend.InProcess], [backend.Local], [backend.ObjectStore], or what [backend.Load] read from
	// a file. It alone moves a program from one process to a cluster.
	State backend.Config
	// Epoch is the time from one epoch to the next while events come in: how much is replayed after a crash, and how
	// fresh results are; default 1 s.
	Epoch time.Duration
	// SealTimeout is how long an epoch may take to be sealed before it is tried again; it doubles with each try, and begins
	// anew whenever a member says that it is at work on it, up to 16 times SealTimeout in all; default 10 s.
	SealTimeout time.Duration
	// Retain is the number of ledger records, and with them of epochs, that stay readable; default 64.
	Retain int
	// Names bounds the producers, and likewise the sources, that the store remembers; default 1,024 each.
	Names int
	// Membership says who the members of a dynamic cluster are, in place of gossip: of a program whose instances something
	// else manages. It is for State with discovery = "dynamic" and without seed_peers, and belongs to the instance, which
	// joins, leaves and closes it.
	Membership remote.Membership
	// Log is where the instance logs; nil is silent.
	Log *zap.Logger
}

// withDefaults fills in what the config leaves out.
func (c Config) withDefaults() Config {
	set(&c.Epoch, time.Second)
	set(&c.SealTimeout, 10*time.Second)
	set(&c.Retain, 64)
	set(&c.Names, 1024)
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports everything that is wrong with the config.
func (c Config) Validate() error {
	var all []error
	wrong := func(bad bool, key string, value any, remedy string) {
		if bad {
			all = append(all, &backend.ConfigError{Key: key, Value: fmt.Sprint(value), Problem: "out of range", Remedy: remedy})
		}
	}
	wrong(c.Epoch < 0 || (c.Epoch > 0 && c.Epoch < time.Millisecond), "Epoch", c.Epoch, "use 1ms or more, or leave it out")
	wrong(c.SealTimeout < 0, "SealTimeout", c.SealTimeout, "use a positive time, or leave it out")
	wrong(c.Retain < 0 || c.Retain == 1, "Retain", c.Retain, "use 2 or more, or leave it out")
	wrong(c.Names < 0, "Names", c.Names, "use a positive number, or leave it out")
	if err := c.State.Validate(); err != nil {
		return errors.Join(append(all, err)...)
	}
	return errors.Join(append(all, checkMembers(c))...)
}
