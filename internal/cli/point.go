package cli

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"time"
)

// revisions is what the server tells of its past.
type revisions struct {
	Oldest  int64 `json:"oldest"`
	Current int64 `json:"current"`
	Times   []struct {
		Revision int64     `json:"revision"`
		Time     time.Time `json:"time"`
	} `json:"times"`
}

func (s *Server) revisions(ctx context.Context) (r revisions, err error) {
	return r, s.call(ctx, http.MethodGet, "/skiff/revisions", "application/json", nil, &r)
}

// at is when a revision was written; zero: nobody knows.
func (r *revisions) at(rev int64) time.Time {
	i := sort.Search(len(r.Times), func(i int) bool { return r.Times[i].Revision > rev })
	if i == 0 {
		return time.Time{}
	}
	return r.Times[i-1].Time
}

// of is the last revision that was written at a time or before, to the second.
func (r *revisions) of(t time.Time) (int64, error) {
	i := sort.Search(len(r.Times), func(i int) bool { return r.Times[i].Time.After(t) })
	switch {
	case i == len(r.Times):
		return r.Current, nil
	case r.Times[i].Revision-1 < r.Oldest:
		return 0, fmt.Errorf("history goes back to revision %d at %s; there is nothing of %s", r.Oldest, r.Times[i].Time.Local().Format(time.DateTime), t.Local().Format(time.DateTime))
	}
	return r.Times[i].Revision - 1, nil
}

// point is the revision that people mean by a number, a duration ("10m": ago) or a time of the
// day or of a day ("14:05", "14:05:10", "2026-01-02 14:05", RFC 3339).
func (r *revisions) point(s string, now time.Time) (int64, error) {
	if rev, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case rev < r.Oldest:
			return 0, fmt.Errorf("revision %d is no longer kept: history goes back to %d", rev, r.Oldest)
		case rev > r.Current:
			return 0, fmt.Errorf("revision %d is yet to come: the last is %d", rev, r.Current)
		}
		return rev, nil
	}
	t, err := moment(s, now)
	if err != nil {
		return 0, err
	}
	return r.of(t)
}

func moment(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		y, m, d := now.Date()
		t = time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
		if t.After(now) {
			t = t.AddDate(0, 0, -1) // it was yesterday
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a revision nor a time: 123, 10m, 14:05", s)
}
