package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// supervisor runs parts until the context ends. A part that fails or panics is
// logged and started again, after 100 ms, 200 ms, … up to 30 s; a part that ran
// for a minute starts from the beginning of that row.
type supervisor struct {
	log *slog.Logger
	wg  sync.WaitGroup
}

func (s *supervisor) run(ctx context.Context, name string, part func(context.Context) error) {
	s.wg.Go(func() {
		wait := 100 * time.Millisecond
		for ctx.Err() == nil {
			began := time.Now()
			err := guard(ctx, part)
			if ctx.Err() != nil {
				return
			}
			if time.Since(began) > time.Minute {
				wait = 100 * time.Millisecond
			}
			s.log.Error("part ended, starting it again", "part", name, "err", err, "after", wait)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			wait = min(2*wait, 30*time.Second)
		}
	})
}

// guard turns a panic into an error.
func guard(ctx context.Context, part func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return part(ctx)
}
