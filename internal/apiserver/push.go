package apiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
)

// pump sends what happens to watchers whose clients can take it at once. One goroutine
// does that for all of them: to wake the handlers of a hundred watchers for an event each
// costs ten times what the event itself does. Handlers are woken for what takes longer:
// clients that fell behind, many events at a time, the end.
type pump struct {
	mu    sync.Mutex
	ready []*watcher
	woken chan struct{}
}

// pusher is a response that sends what nobody has to wait for (package http2).
type pusher interface {
	// Push tells whether p is on its way; Kick follows what was pushed.
	Push(p []byte) bool
	Kick()
	// Line is the same for all that one Kick is enough for.
	Line() uint64
}

func newPump() *pump { return &pump{woken: make(chan struct{}, 1)} }

func (p *pump) add(ws []*watcher) {
	p.mu.Lock()
	p.ready = append(p.ready, ws...)
	p.mu.Unlock()
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func (p *pump) run(ctx context.Context) {
	var ready []*watcher
	var last said
	for {
		select {
		case <-p.woken:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		ready, p.ready = p.ready, ready[:0]
		p.mu.Unlock()
		// One connection after the other, so that the first is on its way while the next is looked after.
		slices.SortFunc(ready, func(a, b *watcher) int { return cmp.Compare(a.line, b.line) })
		var pushed pusher
		for i, w := range ready {
			if w.stream.push(w, &last) {
				pushed = w.stream.out
			}
			if pushed != nil && (i+1 == len(ready) || ready[i+1].line != w.line) {
				pushed.Kick()
				pushed = nil
			}
		}
		clear(ready)
		last.forget()
	}
}

// said is the last event that the pump encoded: most of the watchers of a kind want it the same way.
type said struct {
	ch    *change
	res   *api.Resource
	media string
	bytes []byte

	times int // it was said again, and is not counted yet
	count eventCount
}

// again says it to one more.
func (s *said) again() []byte {
	s.times++
	return s.bytes
}

func (s *said) forget() {
	s.count.add(len(s.bytes), s.times)
	if s.ch, s.res, s.times = nil, nil, 0; cap(s.bytes) > 64<<10 {
		s.bytes = nil
	}
}

// isPlain tells whether a stream tells of what concerns it what every other does that asks for the
// same media type: objects as they are, whatever they are.
func (st *stream) isPlain(wt *watcher) bool {
	return st.x.version == nil && st.x.accept.as == "" && wt.sel.plain()
}

// plain tells whether only places are selected.
func (s *selector) plain() bool {
	return (s.labels == nil || s.labels.Empty()) && (s.fields == nil || s.fields.Empty()) && !s.tied && !s.shown
}

// fewEvents is how many the pump sends to one watcher at a time.
const fewEvents = 16

// push sends what a watcher was not told yet, or wakes its handler. It tells whether there is something to kick.
func (st *stream) push(wt *watcher, last *said) bool {
	if !st.mu.TryLock() {
		wt.poke() // the handler is at work
		return false
	}
	defer st.mu.Unlock()
	if st.over {
		return false
	}
	if len(st.buf) > 0 {
		wt.poke()
		return false
	}
	changes, past, err := wt.take(fewEvents)
	if past || err != nil {
		wt.poke() // it finds the same
		return false
	}
	event := st.one(wt, changes, last)
	if event == nil {
		st.gather(wt, changes)
		event = st.buf
	}
	switch {
	case st.failed == nil && len(event) == 0:
		return false
	case st.failed == nil && st.out.Push(event):
		st.buf = st.buf[:0]
		return true
	case len(st.buf) == 0:
		st.buf = append(st.buf, event...) // for the handler
	}
	wt.poke()
	return false
}

// one is the only event there is to tell, if it is like that of others; else nil.
func (st *stream) one(wt *watcher, changes []*change, last *said) []byte {
	if len(changes) != 1 || !st.plain || !wt.sure || changes[0].rev <= wt.from {
		return nil
	}
	if last.ch == changes[0] && last.res == st.res && last.media == st.media {
		return last.again()
	}
	if st.gather(wt, changes); st.failed != nil {
		return nil
	}
	last.forget()
	last.ch, last.res, last.media, last.count, last.bytes = changes[0], st.res, st.media, st.count, append(last.bytes[:0], st.buf...)
	st.buf = st.buf[:0]
	return last.bytes
}

// gather encodes what a watcher is told. Who runs into something here is one client; the pump serves them all.
func (st *stream) gather(wt *watcher, changes []*change) {
	st.pushing = true
	defer func() {
		st.pushing = false
		if p := recover(); p != nil {
			st.s.Log.Error("watch panicked", "path", st.x.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			st.failed = apierrors.NewInternalError(errors.New("this watch caused the server to panic"))
		}
	}()
	for _, ch := range changes {
		if ch.rev <= wt.from {
			continue
		}
		if t, ok := wt.tell(ch); ok && st.failed == nil {
			st.failed = st.event(t.kind, t.e)
		}
	}
}

// pusherOf is the response as a pusher, if it is one: nothing stands between it and the client.
func pusherOf(w http.ResponseWriter) pusher {
	a, ok := w.(*answer)
	if !ok || a.held != nil || a.zip != nil {
		return nil
	}
	p, _ := a.ResponseWriter.(pusher)
	return p
}
