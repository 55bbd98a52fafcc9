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
	Sweep   int // raises of the floor from one listing of the store to the next; default 64
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
	maxFound    = 4  // passes' worth of deletes that one listing looks for
)

// Collector deletes what nothing reaches any more (I9): records below the floor, and segments that no record from the
// floor on and no pin names. Any number of collectors may work on a store, one goroutine on each.
//
// A segment is named by the records of one unbroken run: only a seal names new ones, of epochs above the one before. So
// whatever the record at the floor does not name, of an epoch up to its own, no later record ever names, and a pin made
// later keeps a record from the floor on. What may go may go at any later time.
//
// A collector that is shown every record reads nothing: it sees which segments a record no longer names. For what it
// was not shown, and every so often for what crashes and lost puts left behind, it reads the record at the floor and lists
// what is older. How many records are retained costs it nothing.
type Collector struct {
	ledger *Ledger
	config CollectorConfig

	last  *keptRecord         // shown
	from  uint64              // the records from this one on were shown
	sizes map[uint64]int64    // of the records shown, from the floor on, in bytes
	gone  map[string]departed // segments that a record from the floor on may name, and the last one shown does not
	floor uint64              // in the last pass
	pins  map[Pin]*keptRecord // likewise

	doomed map[string]int64 // what may go, with sizes in bytes
	after  string           // the last pass ended with this key
	raises int              // until the store is listed
	listed string           // up to this key it was, when it held more than a listing looks for
}

// keptRecord is what a collector remembers of a record.
type keptRecord struct {
	seq      uint64
	epoch    vnode.Epoch
	segments map[string]int64 // those in this store, with sizes
}

// departed says which record was the first not to name a segment any more.
type departed struct {
	seq  uint64
	size int64
}

func keptOf(r *Record) *keptRecord {
	k := &keptRecord{seq: r.Seq, epoch: r.Epoch, segments: make(map[string]int64, len(r.Segments))}
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
		sizes: map[uint64]int64{}, gone: map[string]departed{}, pins: map[Pin]*keptRecord{}, doomed: map[string]int64{},
	}
}

// Run makes one pass. Newest is a record that the ledger returned or created: its floor is published if it was not, and
// what is below goes, up to a number of objects. If another collector is further, nothing is done. An error, several
// joined, leaves its work to the next pass.
func (c *Collector) Run(ctx context.Context, newest *Record) (Report, error) {
	if c.last != nil && newest.Seq < c.last.seq {
		return Report{}, nil
	}
	if err := c.ledger.publish(ctx, newest.Floor); err != nil {
		return Report{}, err
	}
	pins, err := c.readPins(ctx, newest)
	if errors.Is(err, ErrCollected) {
		return Report{}, nil
	}
	if err != nil {
		return Report{}, fmt.Errorf("collect below record %d: %w", newest.Floor.Seq, err)
	}
	c.see(newest)
	c.hold(pins, newest.Floor.Seq)
	c.raise(newest.Floor.Seq)
	sweepErr := c.sweep(ctx)
	report, err := c.delete(ctx)
	return report, errors.Join(sweepErr, err)
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

// see takes note of the segments that a newer record does not name any more.
func (c *Collector) see(newest *Record) {
	old := c.last
	if old != nil && old.seq == newest.Seq {
		return
	}
	c.last, c.sizes[newest.Seq] = keptOf(newest), newest.size
	if old == nil || old.seq+1 < newest.Seq {
		c.from = newest.Seq
	}
	if old == nil {
		return
	}
	for key, size := range old.segments {
		if _, named := c.last.segments[key]; !named {
			c.gone[key] = departed{newest.Seq, size}
		}
	}
}

// hold takes the pins in force. What a dropped one alone kept is looked for in the store.
func (c *Collector) hold(pins map[Pin]*keptRecord, floor uint64) {
	for p := range c.pins {
		if pins[p] == nil && p.Seq < floor {
			c.relist()
		}
	}
	c.pins = pins
}

// raise dooms what the floor has passed since the last pass. What was not shown is looked for in the store.
func (c *Collector) raise(floor uint64) {
	if floor == c.floor {
		return
	}
	c.raises = max(0, c.raises-1)
	if c.floor < c.from {
		c.relist()
	}
	for seq, size := range c.sizes {
		if seq < floor && !c.pinned(seq) {
			c.doom(recordKey(seq), size)
		}
	}
	maps.DeleteFunc(c.sizes, func(seq uint64, _ int64) bool { return seq < floor })
	for key, d := range c.gone {
		if d.seq <= floor && !c.reached(key) {
			c.doom(key, d.size)
		}
	}
	maps.DeleteFunc(c.gone, func(_ string, d departed) bool { return d.seq <= floor })
	c.floor = floor
}

// relist has the whole store listed in this pass.
func (c *Collector) relist() { c.raises, c.listed = 0, "" }

// pinned reports whether a pin keeps a record.
func (c *Collector) pinned(seq uint64) bool {
	for p := range c.pins {
		if p.Seq == seq {
			return true
		}
	}
	return false
}

// reached reports whether a pin names a segment.
func (c *Collector) reached(key string) bool {
	for _, r := range c.pins {
		if _, named := r.segments[key]; named {
			return true
		}
	}
	return false
}

// doom says that an object may go. While deletes fail for long it forgets some, and lists the store for them later.
func (c *Collector) doom(key string, size int64) {
	if len(c.doomed) >= maxDoomed*c.config.Deletes {
		c.relist()
		return
	}
	c.doomed[key] = size
}

// sweep lists the store, if it is time, for what may go and was not shown, was never named, or whose deletion a crash cut
// short. It stops when it has found enough for a few passes, and the next goes on behind that.
func (c *Collector) sweep(ctx context.Context) error {
	if c.raises > 0 || c.floor == 0 {
		return nil
	}
	// The ledger looks at the floors after it has read: what it returns was not written by a sleeper.
	r, err := c.ledger.Read(ctx, c.floor)
	if errors.Is(err, ErrCollected) { // another collector is further
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect below record %d: %w", c.floor, err)
	}
	full, err := c.list(ctx, keptOf(r))
	if err == nil && !full {
		c.raises, c.listed = c.config.Sweep, ""
	}
	return err
}

// list dooms what is older than the record at the floor and not reached. It stops when it is full.
func (c *Collector) list(ctx context.Context, floor *keptRecord) (full bool, err error) {
	take := func(key string, size int64) bool {
		if key <= c.listed {
			return true
		}
		full = len(c.doomed) >= maxFound*c.config.Deletes
		if !full {
			c.doomed[key], c.listed = size, key
		}
		return !full
	}
	err = c.ledger.objects.List(ctx, recordPrefix, func(key string, size int64) bool {
		seq, ok := recordSeq(key)
		if !ok || c.pinned(seq) {
			return true
		}
		return seq < floor.seq && take(key, size)
	})
	if err != nil {
		return full, fmt.Errorf("list old records: %w", err)
	}
	err = c.ledger.objects.List(ctx, segmentPrefix, func(key string, size int64) bool {
		epoch, ok := segmentEpoch(key)
		if _, named := floor.segments[key]; !ok || named || c.reached(key) {
			return true
		}
		return epoch <= floor.epoch && take(key, size)
	})
	if err != nil {
		return full, fmt.Errorf("list segments: %w", err)
	}
	return full, nil
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
