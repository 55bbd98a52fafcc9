package backend

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// Export calls yield for every key of the state that the record has sealed: vnodes in ascending order, keys of a
// vnode by their bytes. The bytes are valid until yield returns. It returns the first error, its own or yield's.
func Export(ctx context.Context, objects Objects, rec *Record, yield func(v vnode.ID, key, value []byte) error) error {
	all := make([]vnode.ID, rec.Identity.Capacity)
	for v := range all {
		all[v] = vnode.ID(v)
	}
	one := Restorer{Objects: objects, Record: rec, Parallel: 1, Bytes: foldBytes}
	return one.Restore(ctx, all, func(s RestoredSlice) error {
		var live []vnode.Entry
		err := newestEntries(s.Deltas, keySet{}, func(e vnode.Entry) {
			if !e.Deleted {
				live = append(live, e)
			}
		})
		if err != nil {
			return fmt.Errorf("export vnode %d: %w", s.Vnode, err)
		}
		slices.SortFunc(live, func(a, b vnode.Entry) int { return bytes.Compare(a.Key, b.Key) })
		for _, e := range live {
			if err := yield(s.Vnode, e.Key, e.Value); err != nil {
				return err
			}
		}
		return nil
	})
}
