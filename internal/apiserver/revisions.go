package apiserver

import (
	"context"
	"errors"
	"net/http"
	"sort"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/store"
)

// When which revision was, so that people may ask for a time: a mark about once a second, while there are writes.
type revisionTimes struct {
	mu    sync.Mutex
	marks []RevisionTime // ascending in both; each stands for the revisions of its second
}

// RevisionTime says when a revision was written.
type RevisionTime struct {
	Revision int64       `json:"revision"`
	Time     metav1.Time `json:"time"`
}

// Revisions is the answer of /skiff/revisions: what can be read of the past.
type Revisions struct {
	Oldest  int64 `json:"oldest"`
	Current int64 `json:"current"`
	// Times are ascending. A revision was written at the time of the last mark that is not above it.
	Times []RevisionTime `json:"times"`
}

// maxMarks is a day of uninterrupted writing.
const maxMarks = 86400

func (t *revisionTimes) note(rev int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.marks)
	if n > 0 && now.Sub(t.marks[n-1].Time.Time) < time.Second {
		return
	}
	if n >= maxMarks {
		t.marks = append(t.marks[:0:0], t.marks[n/4:]...)
	}
	t.marks = append(t.marks, RevisionTime{rev, metav1.Time{Time: now}})
}

// since forgets the marks that only stand for revisions before oldest, and returns the others.
func (t *revisionTimes) since(oldest int64) []RevisionTime {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].Revision > oldest })
	if first > 1 {
		t.marks = append(t.marks[:0:0], t.marks[first-1:]...)
	}
	return append([]RevisionTime(nil), t.marks...)
}

// serveRevisions tells which revisions can be read, and when they were.
func (s *Server) serveRevisions(w http.ResponseWriter, r *http.Request, x *exchange) error {
	if r.Method != http.MethodGet {
		return notAllowed(x)
	}
	_, oldest := s.Store.Revision()
	a := Revisions{Oldest: oldest, Current: s.feed.applied.Load(), Times: s.feed.times.since(oldest)}
	first := a.Current
	if len(a.Times) > 0 {
		first = a.Times[0].Revision
	}
	earlier, err := s.feed.timesBefore(r.Context(), oldest, first-1)
	if err != nil && !errors.Is(err, store.ErrCompacted) {
		return s.storeError(err)
	}
	a.Times = append(earlier, a.Times...)
	s.writeObject(w, r, x, http.StatusOK, a)
	return nil
}

// timesBefore reads from what was written before the server started when that was.
func (f *feed) timesBefore(ctx context.Context, oldest, until int64) (out []RevisionTime, err error) {
	var last time.Time
	for at := oldest; at < until; {
		batches, seen, err := f.store.History(ctx, registryPrefix, store.PrefixEnd(registryPrefix), at, until)
		if err != nil {
			return out, err
		}
		for _, b := range batches {
			for i := range b.Events {
				if t := f.writtenAt(&b.Events[i]); t.Sub(last) >= time.Second {
					last = t
					out = append(out, RevisionTime{b.Revision, metav1.Time{Time: t}})
				}
			}
		}
		at = seen
	}
	return out, nil
}

// writtenAt is the time that an object's metadata tells of its last write; zero: it tells none.
func (f *feed) writtenAt(ev *store.Event) (t time.Time) {
	c := f.cacheOf(ev.KV.Key)
	if c == nil || ev.Deleted {
		return t
	}
	e, err := f.entry(c.res, ev.KV)
	if err != nil {
		return t
	}
	o := e.object()
	t = o.GetCreationTimestamp().Time
	for _, m := range o.GetManagedFields() {
		if m.Time != nil && m.Time.After(t) {
			t = m.Time.Time
		}
	}
	return t
}
