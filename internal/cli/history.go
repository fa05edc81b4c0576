package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// row is one revision of an object.
type row struct {
	rev   int64
	at    time.Time
	who   string
	what  []string
	state object // nil: deleted
}

// shown is how many changed fields a row lists.
const shown = 4

// History prints what happened to an object, as far back as the server keeps it.
func (s *Server) History(ctx context.Context, out io.Writer, kind, name, ns string) error {
	r, err := s.find(ctx, kind)
	if err != nil {
		return err
	}
	rows, err := s.rows(ctx, r, ns, name)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return apierrors.NewNotFound(schemaOf(r), name)
	}
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "REVISION\tTIME\tWHO\tWHAT CHANGED")
	for _, row := range rows {
		when := "-"
		if !row.at.IsZero() {
			when = row.at.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", row.rev, when, or(row.who, "-"), summary(row.what))
	}
	return w.Flush()
}

func summary(what []string) string {
	if len(what) > shown {
		return strings.Join(what[:shown-1], ", ") + fmt.Sprintf(", and %d more", len(what)-shown+1)
	}
	return or(strings.Join(what, ", "), "nothing that counts")
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// rows are the revisions of an object, the oldest first: the state in which history finds it, then each change.
func (s *Server) rows(ctx context.Context, r resource, ns, name string) ([]row, error) {
	for {
		past, err := s.revisions(ctx)
		if err != nil {
			return nil, err
		}
		rows, err := s.rowsSince(ctx, &past, r, ns, name)
		// History may be cut while it is read: then there is less of it.
		if err == nil || !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return rows, err
		}
	}
}

func (s *Server) rowsSince(ctx context.Context, past *revisions, r resource, ns, name string) ([]row, error) {
	var rows []row
	state, err := s.get(ctx, r, ns, name, past.Oldest)
	if err != nil {
		return nil, err
	}
	if state != nil {
		first := row{rev: revisionOf(state), what: []string{"as history finds it"}, state: state}
		first.who, first.at = author(nil, state)
		rows = append(rows, first)
	}
	now, err := s.get(ctx, r, ns, name, past.Current)
	if err != nil {
		return nil, err
	}
	if now != nil && state != nil && revisionOf(now) == revisionOf(state) {
		return rows, nil
	}
	last := int64(0)
	if now != nil {
		last = revisionOf(now)
	}
	err = s.events(ctx, r, ns, name, past.Oldest, last, func(kind string, o object) {
		next := row{rev: revisionOf(o), at: past.at(revisionOf(o))}
		switch kind {
		case "ADDED":
			next.state, next.what = o, []string{"created"}
			next.who, _ = author(nil, o)
		case "DELETED":
			next.what = []string{"deleted"}
		default:
			next.state, next.what = o, changes(state, o)
			next.who, _ = author(state, o)
		}
		state = next.state
		rows = append(rows, next)
	})
	return rows, err
}

// events calls f with what happened to an object after a revision, until the one at revision last;
// 0: until nothing more comes.
func (s *Server) events(ctx context.Context, r resource, ns, name string, after, last int64, f func(kind string, o object)) error {
	q := url.Values{"watch": {"true"}, "resourceVersion": {strconv.FormatInt(after, 10)}, "fieldSelector": {"metadata.name=" + name}, "timeoutSeconds": {"1"}}
	if last != 0 {
		q.Set("timeoutSeconds", "60")
	}
	in, err := s.open(ctx, "GET", r.path(ns, "")+"?"+q.Encode(), "application/json", nil)
	if err != nil {
		return err
	}
	defer in.Close()
	dec := json.NewDecoder(in)
	dec.UseNumber()
	for {
		var ev struct {
			Type   string
			Object object
		}
		if err := dec.Decode(&ev); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if ev.Type == "ERROR" {
			return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReason(text(ev.Object, "reason")), Message: text(ev.Object, "message")}}
		}
		o := plain(ev.Object).(object)
		f(ev.Type, o)
		if last != 0 && revisionOf(o) >= last {
			return nil
		}
	}
}

// plain turns numbers of a stream into those that other answers have.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		for k, e := range v {
			v[k] = plain(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

func revisionOf(o object) int64 {
	rev, _ := strconv.ParseInt(text(o, "metadata", "resourceVersion"), 10, 64)
	return rev
}
