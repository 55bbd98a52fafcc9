package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sheaf-go/sheaf/vnode"
)

// CollectorConfig bounds a [Collector]. The zero value works.
type CollectorConfig struct {
	Deletes int // objects deleted in one pass; default 256
	Sweep   int // passes from one listing of the store to the next; default 64
}

func (c CollectorConfig) withDefaults() CollectorConfig {
	return CollectorConfig{
		Deletes: cmp.Or(max(c.Deletes, 0), 256),
		Sweep:   cmp.Or(max(c.Sweep, 0), 64),
	}
}

const (
	maxFailures = 8  // failed deletes that end a pass
	maxDoomed   = 64 // passes' worth of deletes that are remembered; what is beyond waits for a listing
	maxFound    = 4  // passes' worth of deletes that a pass looks for, by reading records or by listing
)

// Collector deletes what nothing reaches any more (I9): records below the floor, and segments that no record from the
// floor on and no pin names. Any number of collectors may work on a store, one goroutine on each.
//
// A segment is in the records of one unbroken run: only a seal names new ones, of epochs above the one before. So what
// the record at the floor does not name, of an epoch up to its own, no later record ever names, and a pin made later
// keeps a record from the floor on. What may go may go at any later time.
//
// A collector reads the records that the floor has passed since its last pass. At its start, and every so often, it
// lists the store for what it was not told of: what crashes and lost puts left behind. How many records are retained
// costs it nothing.
type Collector struct {
	ledger *Ledger
	config CollectorConfig

	floor  *keptRecord         // at the floor, in the last pass; nil before the first
	pins   map[Pin]*keptRecord // as the last pass saw them
	named  map[string]int64    // segments that let go records named, with sizes in bytes: to be judged
	doomed map[string]int64    // what may go, with sizes
	after  string              // the last pass ended with this key
	passes int                 // until the store is listed
}

// keptRecord is what a collector remembers of a record.
type keptRecord struct {
	seq      uint64
	epoch    vnode.Epoch
	size     int64
	segments map[string]int64 // those in this store, with sizes
}

func keptOf(r *Record) *keptRecord {
	k := &keptRecord{seq: r.Seq, epoch: r.Epoch, size: r.size, segments: make(map[string]int64, len(r.Segments))}
	for i := range r.Segments {
		if s := &r.Segments[i]; s.Prefix == "" {
			k.segments[s.Key()] = s.Size
		}
	}
	return k
}

// Report says what a pass did.
type Report struct {
	Records  int   // deleted
	Segments int   // deleted
	Bytes    int64 // of what was deleted
	Left     int   // objects that may be deleted and are not yet
}

// Add adds another pass of the same collector.
func (r *Report) Add(next Report) {
	r.Records, r.Segments, r.Bytes, r.Left = r.Records+next.Records, r.Segments+next.Segments, r.Bytes+next.Bytes, next.Left
}

// NewCollector makes a collector of the ledger's store.
func NewCollector(ledger *Ledger, config CollectorConfig) *Collector {
	return &Collector{
		ledger: ledger, config: config.withDefaults(),
		pins: map[Pin]*keptRecord{}, named: map[string]int64{}, doomed: map[string]int64{},
	}
}

// Run makes one pass. Newest is a record that the ledger returned or created: its floor is published if it was not, and
// what is below goes, up to a number of objects. If another collector is further, nothing is done. An error, several
// joined, leaves its work to the next pass.
func (c *Collector) Run(ctx context.Context, newest *Record) (Report, error) {
	if newest.Floor.K == 0 {
		return Report{}, nil
	}
	if err := c.ledger.publish(ctx, newest.Floor); err != nil {
		return Report{}, err
	}
	err := c.learn(ctx, newest)
	if errors.Is(err, ErrCollected) {
		return Report{}, nil
	}
	if err != nil {
		return Report{}, fmt.Errorf("collect below record %d: %w", newest.Floor.Seq, err)
	}
	c.judge()
	sweepErr := c.sweep(ctx)
	report, err := c.delete(ctx)
	return report, errors.Join(sweepErr, err)
}

// learn finds out what newest keeps, and what the floor and dropped pins have let go since the last pass. It changes
// nothing unless it finds out everything.
func (c *Collector) learn(ctx context.Context, newest *Record) error {
	if c.floor != nil && newest.Floor.Seq < c.floor.seq {
		return ErrCollected
	}
	pins, err := c.readPins(ctx, newest)
	if err != nil {
		return err
	}
	floor, released, err := c.readFloor(ctx, newest.Floor.Seq)
	if err != nil {
		return err
	}
	for p, r := range c.pins {
		if pins[p] == nil && p.Seq < floor.seq {
			released = append(released, r)
		}
	}
	c.floor, c.pins = floor, pins
	for _, r := range released {
		c.release(r)
	}
	return nil
}

// readPins returns the records that the pins of newest keep. Each is read once.
func (c *Collector) readPins(ctx context.Context, newest *Record) (map[Pin]*keptRecord, error) {
	pins := make(map[Pin]*keptRecord, len(newest.Pins))
	for _, p := range newest.Pins {
		if pins[p] = c.pins[p]; pins[p] != nil {
			continue
		}
		r, err := c.ledger.Pinned(ctx, newest, p)
		if err != nil {
			return nil, err
		}
		pins[p] = keptOf(r)
	}
	return pins, nil
}

// readFloor returns the record at the floor, and those that the floor has passed since the last pass. Where that is not
// known, or far away, or another collector has been, the store is listed instead.
func (c *Collector) readFloor(ctx context.Context, seq uint64) (floor *keptRecord, passed []*keptRecord, err error) {
	if c.floor != nil && c.floor.seq == seq {
		return c.floor, nil, nil
	}
	// The ledger looks at the floors after it has read: what it returns was not written by a sleeper.
	r, err := c.ledger.Read(ctx, seq)
	if err != nil {
		return nil, nil, err
	}
	floor = keptOf(r)
	if c.floor == nil || seq-c.floor.seq > uint64(maxFound*c.config.Deletes) {
		c.passes = 0
		return floor, nil, nil
	}
	for r.Seq > c.floor.seq {
		r, err = c.ledger.before(ctx, r)
		if errors.Is(err, ErrCollected) {
			c.passes = 0
			break
		}
		if err != nil {
			return nil, nil, err
		}
		passed = append(passed, keptOf(r))
	}
	return floor, passed, nil
}

// release lets a record go, unless another pin keeps it, and leaves its segments to be judged.
func (c *Collector) release(r *keptRecord) {
	if !c.pinned(r.seq) {
		c.doom(recordKey(r.seq), r.size)
	}
	maps.Copy(c.named, r.segments)
}

func (c *Collector) pinned(seq uint64) bool {
	for p := range c.pins {
		if p.Seq == seq {
			return true
		}
	}
	return false
}

// judge dooms the segments that were named and that nothing reaches.
func (c *Collector) judge() {
	for key, size := range c.named {
		if !c.reached(key) {
			c.doom(key, size)
		}
	}
	clear(c.named)
}

// reached reports whether the record at the floor or a pin names a segment.
func (c *Collector) reached(key string) bool {
	_, named := c.floor.segments[key]
	for _, r := range c.pins {
		_, pinned := r.segments[key]
		named = named || pinned
	}
	return named
}

// doom says that an object may go. While deletes fail for long it forgets some, and lists the store for them later.
func (c *Collector) doom(key string, size int64) {
	if len(c.doomed) >= maxDoomed*c.config.Deletes {
		c.passes = 0
		return
	}
	c.doomed[key] = size
}

// sweep lists the store, if it is time, for what may go and was never named, or whose deletion a crash cut short. It
// stops when it has found enough for a few passes, and begins again in the next.
func (c *Collector) sweep(ctx context.Context) error {
	if c.passes > 0 {
		c.passes--
		return nil
	}
	room, full := maxFound*c.config.Deletes, false
	take := func(key string, size int64) bool {
		full = len(c.doomed) >= room
		if !full {
			c.doomed[key] = size
		}
		return !full
	}
	err := c.ledger.objects.List(ctx, recordPrefix, func(key string, size int64) bool {
		seq, ok := recordSeq(key)
		if !ok || c.pinned(seq) {
			return true
		}
		return seq < c.floor.seq && take(key, size)
	})
	if err != nil {
		return fmt.Errorf("list old records: %w", err)
	}
	err = c.ledger.objects.List(ctx, segmentPrefix, func(key string, size int64) bool {
		epoch, ok := segmentEpoch(key)
		if !ok || c.reached(key) {
			return true
		}
		return epoch <= c.floor.epoch && take(key, size)
	})
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	if !full {
		c.passes = c.config.Sweep
	}
	return nil
}

// segmentEpoch returns the epoch in a segment's key; false for a key that is none.
func segmentEpoch(key string) (vnode.Epoch, bool) {
	digits, _, ok := strings.Cut(strings.TrimPrefix(key, segmentPrefix), "/")
	epoch, err := strconv.ParseUint(digits, 10, 64)
	return vnode.Epoch(epoch), ok && err == nil && len(digits) == 20
}

// delete deletes a pass's share of what may go, in the order of the keys, from where the last pass ended: what cannot be
// deleted does not keep the rest from going.
func (c *Collector) delete(ctx context.Context) (Report, error) {
	keys := slices.Sorted(maps.Keys(c.doomed))
	begin, _ := slices.BinarySearch(keys, c.after+"\x00")
	keys = slices.Concat(keys[begin:], keys[:begin])
	var report Report
	var errs []error
	for _, key := range keys[:min(len(keys), c.config.Deletes)] {
		if len(errs) == maxFailures || ctx.Err() != nil {
			break
		}
		c.after = key
		if err := c.ledger.objects.Delete(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("delete %s: %w", key, err))
			continue
		}
		report.Bytes += c.doomed[key]
		delete(c.doomed, key)
		if strings.HasPrefix(key, segmentPrefix) {
			report.Segments++
		} else {
			report.Records++
		}
	}
	report.Left = len(c.doomed)
	return report, errors.Join(errs...)
}
