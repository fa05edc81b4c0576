package apiserver

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Objects that a webhook converts are strangers in their entries (entry.from) until somebody
// wants them: the feed never asks, and neither do parts of this process, which see them as they
// are stored. Who wants many has them converted at once, who wants what somebody else is having
// converted waits for that, and what was converted stays.
var converting = struct {
	mu    sync.Mutex
	under map[*entry]*conversion
}{under: map[*entry]*conversion{}}

// conversion is one that is under way.
type conversion struct {
	done chan struct{}
	err  error
}

// reviewSize is about how many bytes of objects are in one question.
const reviewSize = 1 << 20

// stranger tells that the object is to be converted by somebody outside, and was not yet.
func (e *entry) stranger() bool { return e != nil && e.from != "" && e.alive() == nil }

// convertEntries has the objects of entries converted, all of one kind and version.
func convertEntries(entries []*entry) error {
	var mine []*entry
	var others []*conversion
	c := &conversion{done: make(chan struct{}), err: errors.New("the conversion was given up")}
	converting.mu.Lock()
	for _, e := range entries {
		if !e.stranger() {
			continue
		}
		switch o := converting.under[e]; o {
		case nil:
			converting.under[e] = c
			mine = append(mine, e)
		case c: // it is among the entries twice
		default:
			others = append(others, o)
		}
	}
	converting.mu.Unlock()
	if len(mine) > 0 {
		func() {
			defer func() {
				converting.mu.Lock()
				for _, e := range mine {
					delete(converting.under, e)
				}
				converting.mu.Unlock()
				close(c.done)
			}()
			c.err = convertMine(mine)
		}()
		if c.err != nil {
			return c.err
		}
	}
	for _, o := range others {
		if <-o.done; o.err != nil {
			return o.err
		}
	}
	return nil
}

// convertMine converts in as few questions as there are versions, and bytes allow.
func convertMine(entries []*entry) error {
	byVersion := map[string][]*entry{}
	size := map[string]int{}
	for _, e := range entries {
		if size[e.from]+len(e.value) > reviewSize && len(byVersion[e.from]) > 0 {
			if err := convertBatch(byVersion[e.from]); err != nil {
				return err
			}
			byVersion[e.from], size[e.from] = nil, 0
		}
		byVersion[e.from] = append(byVersion[e.from], e)
		size[e.from] += len(e.value)
	}
	for _, batch := range byVersion {
		if err := convertBatch(batch); err != nil {
			return err
		}
	}
	return nil
}

func convertBatch(entries []*entry) error {
	if len(entries) == 0 {
		return nil
	}
	r := entries[0].res
	in := make([]api.Object, len(entries))
	for i, e := range entries {
		var err error
		if in[i], err = storedObject(r, e.value); err != nil {
			return err
		}
	}
	out, err := r.Custom.ConvertAll(in, r.GVK.Version)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := r.Custom.Prune(out[i]); err != nil {
			return err
		}
		if e.rev != 0 {
			out[i].SetResourceVersion(strconv.FormatInt(e.rev, 10))
		}
		e.keep(out[i])
	}
	return nil
}

// storedObject reads the stored value of a custom kind in the version that it has there.
func storedObject(r *api.Resource, value []byte) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(value, &u.Object); err != nil {
		return nil, fmt.Errorf("decode %s: %w", r.GVR.Resource, err)
	}
	if from := r.Custom.Versions[u.GroupVersionKind().Version]; from != nil {
		if err := from.Custom.Take(u); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// asStored is the object as parts of this process see it: nothing that they do waits for
// somebody outside, or fails because of them. What they look at, metadata, is the same in all versions.
func (e *entry) asStored() api.Object {
	if e.from == "" {
		return e.object()
	}
	u, err := storedObject(e.res, e.value)
	if err != nil {
		panic(&unconverted{err}) // it was read before
	}
	u.SetResourceVersion(strconv.FormatInt(e.rev, 10))
	return u
}

// strangers are the entries of changes that a watcher must have converted before it tells of them.
func (w *watcher) strangers(changes []*change) (out []*entry) {
	if !w.sel.shown {
		return nil
	}
	picky := w.sel.picky()
	for _, ch := range changes {
		if ch.rev <= w.from || !w.concerns(ch) {
			continue
		}
		if ch.now.stranger() {
			out = append(out, ch.now)
		}
		if ch.old != nil && (picky || ch.now == nil) && ch.old.stranger() {
			out = append(out, ch.old)
		}
	}
	return out
}

// show leaves the entries that match, converted where somebody must be asked for that.
func (s *selector) show(entries []*entry) ([]*entry, error) {
	if !s.shown {
		return entries, nil
	}
	if err := convertEntries(entries); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(entries, func(e *entry) bool { return !s.matches(e) }), nil
}

// picky tells that a selector looks into objects.
func (s *selector) picky() bool {
	return s.labels != nil && !s.labels.Empty() || s.fields != nil && !s.fields.Empty()
}

// matchesShown is matches for an object that webhooks convert: what counts is what the client sees.
func (s *selector) matchesShown(e *entry) bool {
	o := e.object()
	if s.labels != nil && !s.labels.Empty() && !s.labels.Matches(labels.Set(o.GetLabels())) {
		return false
	}
	return s.fields == nil || s.fields.Empty() || s.fields.Matches(shownFields{e, o})
}

// shownFields offers the selectable fields of an object by name.
type shownFields struct {
	e *entry
	o api.Object
}

func (f shownFields) Has(field string) bool { return f.e.res.Fields[field] != nil }

func (f shownFields) Get(field string) string {
	if get := f.e.res.Fields[field]; get != nil {
		return get(f.o)
	}
	return ""
}
