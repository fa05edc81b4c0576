package cluster

import (
	"context"
	"time"

	"github.com/skiff-k8s/skiff/internal/store"
)

// DefaultHistory is how long past revisions can be read, as far as the bytes that are
// kept of them allow (disk.Options.HistoryBytes).
const DefaultHistory = time.Hour

// DefaultHistoryBytes is how many bytes of superseded values are kept.
const DefaultHistoryBytes = 64 << 20

// compactor lets go of history that is older than a time. It is asleep while there is
// nothing to forget: no timer runs then, and the next write wakes it.
type compactor struct {
	st    store.Store
	keep  time.Duration
	now   func() time.Time
	marks []mark // ascending: what the revision was, and when
}

type mark struct {
	rev int64
	at  time.Time
}

func (c *compactor) run(ctx context.Context) error {
	for {
		more, err := c.forget(ctx)
		if err != nil {
			return err
		}
		if !more {
			if err := c.written(ctx); err != nil {
				return ended(ctx, err)
			}
			continue // marks the first write that is not forgotten
		}
		t := time.NewTimer(c.keep / 4)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// forget compacts what is old enough, and tells whether there is more to forget later.
func (c *compactor) forget(ctx context.Context) (more bool, err error) {
	now := c.now()
	current, compacted := c.st.Revision()
	if n := len(c.marks); n == 0 || c.marks[n-1].rev != current {
		c.marks = append(c.marks, mark{current, now})
	}
	// The newest mark that is old enough: everything before it was over by then.
	for len(c.marks) > 1 && now.Sub(c.marks[1].at) >= c.keep {
		c.marks = c.marks[1:]
	}
	if m := c.marks[0]; now.Sub(m.at) >= c.keep && m.rev > compacted {
		if err := c.st.Compact(ctx, m.rev); err != nil {
			return false, ended(ctx, err)
		}
		compacted = m.rev
	}
	return compacted < current, nil
}

// written waits for the next write.
func (c *compactor) written(ctx context.Context) error {
	current, _ := c.st.Revision()
	w, err := c.st.Watch(ctx, "", "\xff", current)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = w.Next(ctx)
	return err
}
