package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/store"
)

// The past is in the store: every version that is not compacted away, also from before
// the server's start. The caches know the present and the last events only.

// readPast looks at the next part of the store's history. It ends where the feed is: what is
// behind that comes from the cache's events.
func (w *watcher) readPast(ctx context.Context) ([]told, error) {
	f := w.c.feed
	from, to := w.sel.span()
	batches, seen, err := f.store.History(ctx, from, to, w.after, f.applied.Load())
	if errors.Is(err, store.ErrCompacted) {
		_, oldest := f.store.Revision()
		return nil, tooOld(w.after, oldest)
	}
	if err != nil {
		return nil, err
	}
	var changes []*change
	for _, b := range batches {
		for i := range b.Events {
			ch, err := f.past(w.c.res, b.Revision, &b.Events[i])
			if err != nil {
				return nil, err
			}
			changes = append(changes, ch)
		}
	}
	if err := convertEntries(w.strangers(changes)); err != nil {
		return nil, err
	}
	var out []told
	for _, ch := range changes {
		if t, ok := w.tell(ch); ok {
			out = append(out, t)
		}
	}
	w.after = seen
	return out, nil
}

// past makes of the store's event what the cache made of it when it happened.
func (f *feed) past(r *api.Resource, rev int64, ev *store.Event) (*change, error) {
	ch := &change{rev: rev}
	var err error
	if !ev.Deleted {
		if ch.now, err = f.entry(r, ev.KV); err != nil {
			return nil, fmt.Errorf("%s: %w", ev.KV.Key, err)
		}
	}
	if ev.Prev != nil {
		if ch.old, err = f.entry(r, *ev.Prev); err != nil {
			return nil, fmt.Errorf("%s: %w", ev.KV.Key, err)
		}
	}
	return ch, nil
}

// read finds what a get asks for: the object as it is, at least as new as a resourceVersion,
// or as it was exactly then.
func (s *Server) read(ctx context.Context, r *api.Resource, ns, name string, q url.Values) (*entry, error) {
	if v := q.Get("resourceVersion"); v != "" && v != "0" {
		rev, err := strconv.ParseInt(v, 10, 64)
		if err != nil || rev < 0 {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid resource version %q", v))
		}
		switch match := metav1.ResourceVersionMatch(q.Get("resourceVersionMatch")); match {
		case metav1.ResourceVersionMatchExact:
			return s.getAt(ctx, r, r.Key(ns, name), name, rev)
		case "", metav1.ResourceVersionMatchNotOlderThan:
		default:
			return nil, apierrors.NewInvalid(optionsKind("GetOptions"), "", field.ErrorList{
				field.NotSupported(matchPath, match, []string{string(metav1.ResourceVersionMatchExact), string(metav1.ResourceVersionMatchNotOlderThan), ""})})
		}
		if err := s.await(ctx, rev); err != nil {
			return nil, err
		}
	}
	e := s.cache(r).get(r.Key(ns, name))
	if e == nil {
		return nil, apierrors.NewNotFound(r.GroupResource(), name)
	}
	return e, nil
}

// getAt reads an object as it was at a revision.
//
// Kubernetes knows Exact for lists only; here it holds for single objects as well.
func (s *Server) getAt(ctx context.Context, r *api.Resource, key, name string, rev int64) (*entry, error) {
	if err := s.await(ctx, rev); err != nil {
		return nil, err
	}
	kv, _, err := s.Store.Get(ctx, key, rev)
	switch {
	case errors.Is(err, store.ErrCompacted):
		_, oldest := s.Store.Revision()
		return nil, tooOld(rev, oldest)
	case err != nil:
		return nil, s.storeError(err)
	case kv.Mod == 0:
		return nil, apierrors.NewNotFound(r.GroupResource(), name)
	}
	e, err := s.feed.entry(r, kv)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return e, nil
}

const (
	expiredList     = "The resourceVersion for the provided list is too old."
	expiredContinue = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."
)

// pastChunk is how much of the store is read in one go where a selector decides how much is needed.
const pastChunk = 500

// listAt reads the state at a past revision from the store.
func (s *Server) listAt(ctx context.Context, r *api.Resource, o listOptions, from string, rev int64) (*page, error) {
	p := &page{rev: rev}
	first, to := o.sel.span()
	from = max(from, first)
	for chunk := pastChunk; ; chunk *= 2 {
		limit := o.limit - len(p.entries)
		if o.limit == 0 {
			limit = 0
		} else if o.hasSelection {
			limit = max(limit, chunk)
		}
		pg, err := s.Store.Range(ctx, from, to, limit, rev)
		switch {
		case errors.Is(err, store.ErrCompacted):
			return nil, s.expired(o, from)
		case errors.Is(err, store.ErrFuture):
			return nil, s.tooLarge(rev)
		case err != nil:
			return nil, s.storeError(err)
		}
		entries := make([]*entry, len(pg.KVs))
		for i := range pg.KVs {
			if entries[i], err = s.feed.entry(r, pg.KVs[i]); err != nil {
				return nil, apierrors.NewInternalError(err)
			}
		}
		if o.sel.shown && o.sel.picky() {
			if err := convertEntries(entries); err != nil {
				return nil, err
			}
		}
		for i, e := range entries {
			if !o.sel.matches(e) {
				continue
			}
			p.entries = append(p.entries, e)
			if o.limit > 0 && len(p.entries) == o.limit && (pg.More || i < len(pg.KVs)-1) {
				// The next key is the one right after the last that came.
				p.cont = s.continueFrom(&o, e.key+"\x00", rev)
				if !o.hasSelection {
					p.left = &pg.Left
				}
				return p, nil
			}
		}
		if !pg.More {
			return p, nil
		}
		from = pg.KVs[len(pg.KVs)-1].Key + "\x00"
	}
}

// expired tells that the history that a list needs is gone. Whoever was in the midst of it
// gets a token to go on with what is there now.
func (s *Server) expired(o listOptions, from string) error {
	if o.cont == "" {
		return apierrors.NewResourceExpired(expiredList)
	}
	e := apierrors.NewResourceExpired(expiredContinue)
	e.ErrStatus.ListMeta = metav1.ListMeta{Continue: s.continueFrom(&o, from, -1)}
	return e
}
