package proxy

import (
	"context"
	"log/slog"
	"sync"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// staleFlows deletes UDP flows that lead to backends of the past. To find them conntrack is read
// from end to end, which takes long on a busy node: so it is done beside the loop,
// and what comes meanwhile waits for the next reading.
type staleFlows struct {
	log  *slog.Logger
	stop context.CancelFunc
	done sync.WaitGroup
	wake chan struct{}

	mu      sync.Mutex
	waiting map[nft.Frontend]nft.Allowed
}

// newStaleFlows connects to the network namespace of the thread.
func newStaleFlows(log *slog.Logger) (*staleFlows, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &staleFlows{log: log, stop: stop, wake: make(chan struct{}, 1), waiting: map[nft.Frontend]nft.Allowed{}}
	flows, err := nft.OpenFlows()
	if err != nil {
		return s, err
	}
	s.done.Go(func() {
		defer flows.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			// Without this UDP clients of a lost endpoint wait for their flow to expire; all else works.
			if err := flows.Forget(s.take()); err != nil {
				log.Warn("proxy: stale UDP flows stay until they expire", "err", err)
			}
		}
	})
	return s, nil
}

func (s *staleFlows) forget(frontends []nft.Allowed) {
	if len(frontends) == 0 {
		return
	}
	s.mu.Lock()
	for _, f := range frontends {
		s.waiting[f.Frontend] = f // the latest word on it
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *staleFlows) take() []nft.Allowed {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]nft.Allowed, 0, len(s.waiting))
	for _, f := range s.waiting {
		out = append(out, f)
	}
	clear(s.waiting)
	return out
}

func (s *staleFlows) close() {
	s.stop()
	s.done.Wait()
}
