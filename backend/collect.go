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
	Retain  int // records kept, the newest included; default 64
	Step    int // records that a raise of the floor must free, since a floor's object is kept for ever; default 32
	Deletes int // objects deleted in one pass; default 256
	Sweep   int // passes from one listing of the store to the next; default 64
}

func (c CollectorConfig) withDefaults() CollectorConfig {
	return CollectorConfig{
		Retain:  cmp.Or(max(c.Retain, 0), 64),
		Step:    cmp.Or(max(c.Step, 0), 32),
		Deletes: cmp.Or(max(c.Deletes, 0), 256),
		Sweep:   cmp.Or(max(c.Sweep, 0), 64),
	}
}

const (
	maxFailures = 8  // failed deletes that end a pass
	maxDoomed   = 64 // passes' worth of deletes that are remembered; what is beyond waits for a listing
)

// PlanFloor returns the sequence to which the record after newest may raise the floor, and false if it is not worth an
// object. It keeps retain records, and never passes waiting, the first record of the oldest epoch sealed but not emitted;
// if none waits, waiting is any sequence above the newest.
func PlanFloor(newest *Record, retain, step int, waiting uint64) (uint64, bool) {
	if newest.Seq+1 < uint64(retain) {
		return 0, false
	}
	seq := min(newest.Seq+1-uint64(retain), newest.Seq, waiting)
	return seq, seq >= newest.Floor.Seq+uint64(max(step, 1))
}

// Collector deletes what nothing reaches any more (I9): the records below the floor, and the segments that no record from
// the floor on and no pin names. It remembers what the retained records name, so that a pass costs what has changed since
// the last one; at the start and every so often it lists the store for what crashes and lost puts left behind. Any
// number of collectors may work on a store, one goroutine on each.
type Collector struct {
	ledger *Ledger
	config CollectorConfig

	kept   []keptRecord           // the records from the floor on, by sequence
	named  map[string]int         // segments that kept records name, and how many do
	idle   map[string]vnode.Epoch // segments that none names any more: pinned, or of an epoch not yet sealed again
	doomed map[string]struct{}    // what may go, and may at any later time: nothing ever names it again
	after  string                 // the last pass ended with this key
	passes int                    // until the store is listed
}

// keptRecord is what the collector remembers of a record.
type keptRecord struct {
	seq      uint64
	epoch    vnode.Epoch
	digest   Digest
	segments []keptSegment
}

// keptSegment is what the collector remembers of a segment.
type keptSegment struct {
	key   string
	epoch vnode.Epoch
}

// Report says what a pass did.
type Report struct {
	Records  int // deleted
	Segments int // deleted
	Left     int // may be deleted and are not yet
	// Raise is the sequence to which the next record should raise the floor (see [RaiseFloor]); 0 if it need not.
	Raise uint64
}

// NewCollector makes a collector of the ledger's store.
func NewCollector(ledger *Ledger, config CollectorConfig) *Collector {
	return &Collector{
		ledger: ledger, config: config.withDefaults(),
		named: map[string]int{}, idle: map[string]vnode.Epoch{}, doomed: map[string]struct{}{},
	}
}

// Run makes one pass. Newest is a record that the ledger returned or created: its floor is published if it was not, what
// is below goes, and the report names the next floor. If another collector is further, nothing is done. An error,
// several joined, leaves its work to the next pass.
func (c *Collector) Run(ctx context.Context, newest *Record) (Report, error) {
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
	c.forget(newest)
	sweepErr := c.sweep(ctx, newest)
	report, err := c.delete(ctx)
	report.Raise = c.plan(newest)
	return report, errors.Join(sweepErr, err)
}

// plan returns the next floor, or 0.
func (c *Collector) plan(newest *Record) uint64 {
	waiting := newest.Seq + 1
	for _, r := range c.kept {
		if r.epoch > newest.Emitted {
			waiting = r.seq
			break
		}
	}
	seq, ok := PlanFloor(newest, c.config.Retain, c.config.Step, waiting)
	if !ok {
		return 0
	}
	return seq
}

// learn reads the records between the last one remembered and newest, or all that are retained.
func (c *Collector) learn(ctx context.Context, newest *Record) error {
	var last Digest
	if n := len(c.kept); n > 0 {
		last = c.kept[n-1].digest
	}
	if last == newest.digest {
		return nil
	}
	var fresh []keptRecord
	for r, err := range c.ledger.History(ctx, newest) {
		if err != nil {
			return err
		}
		fresh = append(fresh, keptRecord{seq: r.Seq, epoch: r.Epoch, digest: r.digest, segments: ownSegments(r.Segments)})
		if r.Prev == last && len(c.kept) > 0 {
			c.keep(fresh)
			return nil
		}
	}
	// The store is listed for what the records remembered so far named.
	c.kept, c.named, c.passes = nil, map[string]int{}, 0
	c.keep(fresh)
	return nil
}

// keep remembers records, the newest first.
func (c *Collector) keep(fresh []keptRecord) {
	for _, r := range slices.Backward(fresh) {
		for _, s := range r.segments {
			c.named[s.key]++
			delete(c.idle, s.key)
		}
		c.kept = append(c.kept, r)
	}
}

// ownSegments returns those that are in this store.
func ownSegments(segments []SegmentRef) []keptSegment {
	var own []keptSegment
	for _, s := range segments {
		if s.Prefix == "" {
			own = append(own, keptSegment{s.Key(), s.Epoch})
		}
	}
	return own
}

// forget drops the records below the floor, and finds what nothing names without them. Of a segment whose epoch is
// sealed by newest that is final: later records newly name only segments of later epochs, and pin only what a record
// from the floor on names.
func (c *Collector) forget(newest *Record) {
	n := 0
	for ; n < len(c.kept) && c.kept[n].seq < newest.Floor.Seq; n++ {
		c.doom(recordKey(c.kept[n].seq))
		c.release(c.kept[n].segments)
	}
	c.kept = slices.Delete(c.kept, 0, n)
	pinned := c.pinned(newest)
	for key, epoch := range c.idle {
		if !pinned[key] && epoch <= newest.Epoch {
			delete(c.idle, key)
			c.doom(key)
		}
	}
}

// doom says that an object may go. While deletes fail for long it forgets some, and lists the store for them later.
func (c *Collector) doom(key string) {
	if len(c.doomed) >= maxDoomed*c.config.Deletes {
		c.passes = 0
		return
	}
	c.doomed[key] = struct{}{}
}

func (c *Collector) release(segments []keptSegment) {
	for _, s := range segments {
		if c.named[s.key]--; c.named[s.key] == 0 {
			delete(c.named, s.key)
			c.idle[s.key] = s.epoch
		}
	}
}

// pinned returns the segments that the pins of newest keep. Those that nothing else names are watched from now on.
func (c *Collector) pinned(newest *Record) map[string]bool {
	keys := map[string]bool{}
	for _, p := range newest.Pins {
		for _, s := range ownSegments(p.Segments) {
			keys[s.key] = true
			if c.named[s.key] == 0 {
				c.idle[s.key] = s.epoch
			}
		}
	}
	return keys
}

// sweep lists the store, if it is time, for what may go and was never named, or whose deletion a crash cut short. It
// stops when it has found enough for a few passes, and begins again in the next.
func (c *Collector) sweep(ctx context.Context, newest *Record) error {
	if c.passes > 0 {
		c.passes--
		return nil
	}
	room := 4 * c.config.Deletes
	full := false
	take := func(key string) bool {
		full = len(c.doomed) >= room
		if !full {
			c.doomed[key] = struct{}{}
		}
		return !full
	}
	err := c.ledger.objects.List(ctx, ledgerPrefix, func(key string, _ int64) bool {
		seq, ok := recordSeq(key)
		return ok && seq < newest.Floor.Seq && take(key)
	})
	if err != nil {
		return fmt.Errorf("list old records: %w", err)
	}
	err = c.ledger.objects.List(ctx, segmentPrefix, func(key string, _ int64) bool {
		epoch, ok := segmentEpoch(key)
		if !ok || c.reached(key) {
			return true
		}
		return epoch <= newest.Epoch && take(key)
	})
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	if !full {
		c.passes = c.config.Sweep
	}
	return nil
}

// reached reports whether a record or a pin names the segment, as far as is remembered.
func (c *Collector) reached(key string) bool {
	_, idle := c.idle[key]
	return idle || c.named[key] > 0
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
