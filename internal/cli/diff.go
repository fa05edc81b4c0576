package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"
)

// Span is two points in time, as people write them: a revision or a time. To may be empty: now.
type Span struct{ From, To string }

// resolve turns the points into revisions.
func (s *Server) resolve(ctx context.Context, p Span) (from, to int64, err error) {
	past, err := s.revisions(ctx)
	if err != nil {
		return 0, 0, err
	}
	to = past.Current
	if p.To != "" {
		if to, err = past.point(p.To, time.Now()); err != nil {
			return 0, 0, err
		}
	}
	if p.From == "" {
		return past.Oldest, to, nil
	}
	from, err = past.point(p.From, time.Now())
	return from, to, err
}

// Diff prints how an object differs between two points, as YAML. It returns whether it does.
func (s *Server) Diff(ctx context.Context, out io.Writer, kind, name, ns string, p Span) (bool, error) {
	r, err := s.find(ctx, kind)
	if err != nil {
		return false, err
	}
	from, to, err := s.resolve(ctx, p)
	if err != nil {
		return false, err
	}
	a, err := s.get(ctx, r, ns, name, from)
	if err != nil {
		return false, err
	}
	b, err := s.get(ctx, r, ns, name, to)
	if err != nil {
		return false, err
	}
	if a == nil && b == nil {
		return false, apierrors.NewNotFound(schemaOf(r), name)
	}
	return diffState(out, r, name, a, b, from, to)
}

// DiffNamespace prints how everything in a namespace differs, but for what only reports: events and leases.
func (s *Server) DiffNamespace(ctx context.Context, out io.Writer, ns string, p Span) (bool, error) {
	from, to, err := s.resolve(ctx, p)
	if err != nil {
		return false, err
	}
	all, err := s.resources(ctx)
	if err != nil {
		return false, err
	}
	differ, seen := false, once{}
	for _, r := range all {
		if !r.namespaced || !r.can("list") || reporting(r) {
			continue
		}
		a, err := s.list(ctx, r, ns, from)
		if err != nil {
			return false, err
		}
		b, err := s.list(ctx, r, ns, to)
		if err != nil {
			return false, err
		}
		seen.only(r, a, b)
		for _, name := range names(a, b) {
			one, err := diffState(out, r, name, a[name], b[name], from, to)
			if err != nil {
				return false, err
			}
			differ = differ || one
		}
	}
	return differ, nil
}

// reporting tells that a kind only says what goes on.
func reporting(r resource) bool { return r.plural == "events" || r.plural == "leases" }

func names(a, b map[string]object) []string {
	var all []string
	for n := range a {
		all = append(all, n)
	}
	for n := range b {
		if a[n] == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func diffState(out io.Writer, r resource, name string, a, b object, from, to int64) (bool, error) {
	was, err := asYAML(a)
	if err != nil {
		return false, err
	}
	is, err := asYAML(b)
	if err != nil || was == is {
		return false, err
	}
	unified(out, header(r, name, a, from), header(r, name, b, to), was, is)
	return true, nil
}

func header(r resource, name string, o object, rev int64) string {
	if o == nil {
		return fmt.Sprintf("%s/%s (not there at %d)", r, name, rev)
	}
	return fmt.Sprintf("%s/%s (revision %d)", r, name, rev)
}

func asYAML(o object) (string, error) {
	if o == nil {
		return "", nil
	}
	b, err := yaml.Marshal(bare(o))
	return string(b), err
}
