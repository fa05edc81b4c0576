package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Restore writes an object as it was at a point: it makes it anew when it is gone, and puts
// back what changed otherwise. It is an ordinary write; what the server refuses stays as it is.
func (s *Server) Restore(ctx context.Context, out io.Writer, kind, name, ns, to string, dryRun bool) error {
	if to == "" {
		return errNoPoint
	}
	r, err := s.find(ctx, kind)
	if err != nil {
		return err
	}
	_, rev, err := s.resolve(ctx, Span{To: to})
	if err != nil {
		return err
	}
	was, err := s.get(ctx, r, ns, name, rev)
	if err != nil {
		return err
	}
	if was == nil {
		return fmt.Errorf("%s %q did not exist at revision %d", r, name, rev)
	}
	now, err := s.get(ctx, r, ns, name, 0)
	if err != nil {
		return err
	}
	did, err := s.putBack(ctx, r, ns, was, now, dryRun)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s/%s %s%s\n", r, name, did, dryRunNote(dryRun))
	return nil
}

// first are the kinds that others need, in order.
var first = []string{"serviceaccounts", "secrets", "configmaps", "persistentvolumeclaims", "services"}

// RestoreNamespace puts back everything in a namespace that changed since a point, or is gone. What is
// newer stays; so does what a controller makes of something else, for it will follow.
func (s *Server) RestoreNamespace(ctx context.Context, out io.Writer, ns, to string, dryRun bool) error {
	if to == "" {
		return errNoPoint
	}
	all, err := s.resources(ctx)
	if err != nil {
		return err
	}
	_, rev, err := s.resolve(ctx, Span{To: to})
	if err != nil {
		return err
	}
	if err := s.restoreItself(ctx, out, ns, rev, dryRun); err != nil {
		return err
	}
	all = slices.Clone(all)
	rank := func(r resource) int {
		if i := slices.Index(first, r.String()); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(all, func(a, b resource) int { return rank(a) - rank(b) })
	var failed []error
	newer, seen := 0, once{}
	for _, r := range all {
		if !r.namespaced || !r.can("list") || !r.can("create") || !r.can("update") || reporting(r) || made(r) {
			continue
		}
		n, err := s.restoreKind(ctx, out, r, ns, rev, dryRun, seen)
		newer += n
		if err != nil {
			failed = append(failed, err)
		}
	}
	if newer > 0 {
		fmt.Fprintf(out, "%d newer objects were left alone\n", newer)
	}
	return errors.Join(failed...)
}

// restoreItself makes the namespace anew if it is gone.
func (s *Server) restoreItself(ctx context.Context, out io.Writer, ns string, rev int64, dryRun bool) error {
	r, err := s.find(ctx, "namespaces")
	if err != nil {
		return err
	}
	was, err := s.get(ctx, r, "", ns, rev)
	if err != nil {
		return err
	}
	if was == nil {
		return fmt.Errorf("namespace %q did not exist at revision %d", ns, rev)
	}
	now, err := s.get(ctx, r, "", ns, 0)
	if err != nil || now != nil {
		return err
	}
	did, err := s.putBack(ctx, r, "", was, nil, dryRun)
	if err == nil {
		fmt.Fprintf(out, "%s/%s %s%s\n", r, ns, did, dryRunNote(dryRun))
	}
	return err
}

// made tells that controllers make the objects of a kind of others.
func made(r resource) bool {
	return r.plural == "endpoints" || r.plural == "endpointslices" || r.plural == "controllerrevisions" || r.plural == "podmetrics"
}

func (s *Server) restoreKind(ctx context.Context, out io.Writer, r resource, ns string, rev int64, dryRun bool, seen once) (newer int, err error) {
	was, err := s.list(ctx, r, ns, rev)
	if err != nil {
		return 0, err
	}
	now, err := s.list(ctx, r, ns, 0)
	if err != nil {
		return 0, err
	}
	seen.only(r, was, now)
	var failed []error
	for _, name := range names(was, now) {
		switch {
		case was[name] == nil:
			newer++
			continue
		case controlled(was[name]) || now[name] != nil && reflect.DeepEqual(wanted(was[name]), wanted(now[name])):
			continue
		}
		did, err := s.putBack(ctx, r, ns, was[name], now[name], dryRun)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s/%s: %w", r, name, err))
			continue
		}
		fmt.Fprintf(out, "%s/%s %s%s\n", r, name, did, dryRunNote(dryRun))
	}
	return newer, errors.Join(failed...)
}

func dryRunNote(dryRun bool) string {
	if dryRun {
		return " (dry run)"
	}
	return ""
}

// wanted is an object without bookkeeping and status: what a restore would write.
func wanted(o object) object {
	out := bare(o)
	delete(out, "status")
	return out
}

// controlled tells that a controller owns the object.
func controlled(o object) bool {
	return slices.ContainsFunc(owners(o), func(r object) bool { c, _ := r["controller"].(bool); return c })
}

func owners(o object) (out []object) {
	m, _ := o["metadata"].(object)
	refs, _ := m["ownerReferences"].([]any)
	for _, r := range refs {
		if ref, ok := r.(object); ok {
			out = append(out, ref)
		}
	}
	return out
}

// putBack writes a state of the past over what is there now (nil: nothing), and says what it did.
func (s *Server) putBack(ctx context.Context, r resource, ns string, was, now object, dryRun bool) (string, error) {
	next := wanted(was)
	m := next["metadata"].(object)
	for _, k := range []string{"deletionTimestamp", "deletionGracePeriodSeconds"} {
		delete(m, k)
	}
	name := text(was, "metadata", "name")
	method, path, did := http.MethodPut, r.path(ns, name), "restored"
	if now == nil {
		method, path, did = http.MethodPost, r.path(ns, ""), "created anew"
		if err := s.forgetOwners(ctx, ns, next); err != nil {
			return "", err
		}
		unbind(r, next)
	} else {
		if reflect.DeepEqual(next, wanted(now)) {
			return "is as it was", nil
		}
		if text(now, "metadata", "deletionTimestamp") != "" {
			return "", fmt.Errorf("%s %q is being deleted; try again when it is gone", r, name)
		}
		// Whoever writes meanwhile is not overwritten.
		m["resourceVersion"] = text(now, "metadata", "resourceVersion")
		m["uid"] = text(now, "metadata", "uid")
	}
	b, err := json.Marshal(next)
	if err != nil {
		return "", err
	}
	path += "?fieldManager=skiff-restore"
	if dryRun {
		path += "&dryRun=All"
	}
	var answer object
	err = s.call(ctx, method, path, "application/json", b, &answer)
	if now == nil && apierrors.IsAlreadyExists(err) {
		// Somebody was faster, as those are who fill a new namespace: put it over theirs.
		if now, err = s.get(ctx, r, ns, name, 0); err != nil || now == nil {
			return "", err
		}
		return s.putBack(ctx, r, ns, was, now, dryRun)
	}
	if apierrors.IsConflict(err) {
		return "", fmt.Errorf("%s %q was changed meanwhile: %w", r, name, err)
	}
	return did, err
}

// forgetOwners drops references to owners that are gone: they would take the object with them.
func (s *Server) forgetOwners(ctx context.Context, ns string, o object) error {
	m := o["metadata"].(object)
	var kept []any
	for _, ref := range owners(o) {
		r, err := s.ofKind(ctx, text(ref, "apiVersion"), text(ref, "kind"))
		if err != nil {
			continue
		}
		in := ns
		if !r.namespaced {
			in = ""
		}
		owner, err := s.get(ctx, r, in, text(ref, "name"), 0)
		if err != nil {
			return err
		}
		if owner != nil && text(owner, "metadata", "uid") == text(ref, "uid") {
			kept = append(kept, ref)
		}
	}
	if delete(m, "ownerReferences"); len(kept) > 0 {
		m["ownerReferences"] = kept
	}
	return nil
}

// unbind takes out what the cluster gave to the old object and a new one must get anew.
func unbind(r resource, o object) {
	spec, _ := o["spec"].(object)
	if spec == nil {
		return
	}
	copied := object{}
	for k, v := range spec {
		copied[k] = v
	}
	o["spec"] = copied
	switch r.String() {
	case "pods":
		delete(copied, "nodeName")
	case "jobs.batch":
		if manual, _ := copied["manualSelector"].(bool); manual {
			return
		}
		delete(copied, "selector")
		template, _ := copied["template"].(object)
		meta, _ := template["metadata"].(object)
		labels, _ := meta["labels"].(object)
		for k := range labels {
			if strings.HasSuffix(k, "controller-uid") || k == "job-name" || k == "batch.kubernetes.io/job-name" {
				delete(labels, k)
			}
		}
	}
}
