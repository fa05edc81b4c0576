package managedfields

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Object is what is tracked.
type Object interface {
	metav1.Object
}

// Write says who writes, and when.
type Write struct {
	Manager     string
	APIVersion  string // of the paths
	Subresource string
	Time        time.Time
	// Ignored are the top-level fields that this write cannot set.
	Ignored []string
	// Versions are those of the kind beside that of the objects.
	Versions []*api.Version
	// Knows tells of a version other than APIVersion whether the kind has it; nil: it has all.
	Knows func(apiVersion string) bool
}

func (w *Write) isOf(e *metav1.ManagedFieldsEntry) bool {
	return e.Operation == metav1.ManagedFieldsOperationUpdate && e.Manager == w.manager() && e.APIVersion == w.APIVersion && e.Subresource == w.Subresource
}

func (w *Write) manager() string {
	if w.Manager == "" {
		return "unknown"
	}
	return w.Manager
}

// Update notes in next's managedFields what an update of old (nil: a creation)
// changes. What next brings along as managedFields counts unless it is nothing or
// unreadable; entries of a subresource's request do not count.
func Update(next, old Object, w Write) {
	entries := w.account(next, old)
	next.SetManagedFields(nil)
	if old != nil && entries == nil {
		return // compat: where the account was thrown away, only apply begins a new one
	}
	c := &changes{write: &w, next: next, old: old}
	d := c.in(w.APIVersion)
	if d.nothing() && !slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool { return e.APIVersion != w.APIVersion }) {
		next.SetManagedFields(entries)
		return
	}
	next.SetManagedFields(w.note(entries, c.in))
}

// isReset recognises the empty list, or one empty entry, with which a client throws the account away.
func isReset(entries []metav1.ManagedFieldsEntry) bool {
	return entries != nil && (len(entries) == 0 || len(entries) == 1 && entries[0] == metav1.ManagedFieldsEntry{})
}

// account is what is known of the owners before this write: what next brings along, unless that
// is nothing or cannot be read, or else what old has; nil: nothing is known and nobody brings anything. What is of versions that the kind has not is forgotten.
func (w *Write) account(next, old Object) []metav1.ManagedFieldsEntry {
	var entries []metav1.ManagedFieldsEntry
	if old != nil && len(old.GetManagedFields()) > 0 {
		entries = old.GetManagedFields()
	}
	if w.Subresource == "" {
		if brought := next.GetManagedFields(); isReset(brought) {
			return nil
		} else if read, ok := readAccount(brought, entries); ok && len(read) > 0 {
			sortEntries(read)
			entries = read
		}
	}
	return w.known(entries)
}

// known are the entries of versions that the kind has.
func (w *Write) known(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	if w.Knows == nil {
		return entries
	}
	strange := func(e metav1.ManagedFieldsEntry) bool { return e.APIVersion != w.APIVersion && !w.Knows(e.APIVersion) }
	if !slices.ContainsFunc(entries, strange) {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), strange)
}

// readAccount is what a client sent as managedFields, in the form in which it is kept: clients that
// write JSON their own way change nothing by it. Entries that own nothing are left out.
func readAccount(brought, had []metav1.ManagedFieldsEntry) (out []metav1.ManagedFieldsEntry, ok bool) {
	if len(brought) == 0 {
		return nil, true
	}
	out = make([]metav1.ManagedFieldsEntry, 0, len(brought))
	for i, e := range brought {
		if e.FieldsType != "FieldsV1" || e.Operation != metav1.ManagedFieldsOperationApply && e.Operation != metav1.ManagedFieldsOperationUpdate {
			return nil, false
		}
		raw := rawOf(&e)
		if i >= len(had) || had[i].FieldsV1 == nil || !bytes.Equal(raw, had[i].FieldsV1.Raw) {
			s, err := decode(raw)
			switch {
			case err != nil:
				return nil, false
			case s.empty():
				continue
			}
			if kept := s.encode(make([]byte, 0, len(raw)), true); !bytes.Equal(kept, raw) {
				e.FieldsV1 = &metav1.FieldsV1{Raw: kept}
			}
		}
		out = append(out, e)
	}
	return out, true
}

// Owns tells whether somebody owns the field with this path of elements.
func Owns(entries []metav1.ManagedFieldsEntry, path ...string) bool {
	return slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool {
		s, err := decode(rawOf(&e))
		for _, element := range path {
			if err != nil || s == nil {
				return false
			}
			i, found := s.find(element)
			if !found {
				return false
			}
			s = s.children[i].set
		}
		return err == nil
	})
}

// note takes what changed from its former owners and gives it to the writer. What
// changed is told for each version in which somebody owns something.
func (w *Write) note(entries []metav1.ManagedFieldsEntry, changed func(apiVersion string) difference) []metav1.ManagedFieldsEntry {
	out := make([]metav1.ManagedFieldsEntry, 0, len(entries)+1)
	d := changed(w.APIVersion)
	var mine []*set
	for i := range entries {
		e := &entries[i]
		if !w.isOf(e) || d.set.empty() {
			out = w.keep(out, e, changed(e.APIVersion))
			continue
		}
		if had, err := decode(rawOf(e)); err == nil {
			had.without(d.removed)
			mine = append(mine, had)
		}
	}
	for _, had := range mine {
		d.set.union(had)
	}
	if !d.set.empty() {
		at := metav1.NewTime(w.Time.UTC().Truncate(time.Second))
		out = append(out, metav1.ManagedFieldsEntry{
			Manager: w.manager(), Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: w.APIVersion, Time: &at,
			FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: d.set.encode(nil, true)}, Subresource: w.Subresource,
		})
	}
	out = capUpdates(out)
	sortEntries(out)
	if len(out) == 0 {
		return nil
	}
	return out
}

func rawOf(e *metav1.ManagedFieldsEntry) []byte {
	if e.FieldsV1 == nil || len(e.FieldsV1.Raw) == 0 {
		return []byte("{}")
	}
	return e.FieldsV1.Raw
}

// keep appends the entry without what changed hands; nothing when nothing is left.
func (w *Write) keep(out []metav1.ManagedFieldsEntry, e *metav1.ManagedFieldsEntry, d difference) []metav1.ManagedFieldsEntry {
	raw := rawOf(e)
	if !(d.set != nil && touches(raw, d.set)) && !(d.removed != nil && touches(raw, d.removed)) {
		return append(out, *e)
	}
	theirs, err := decode(raw)
	if err != nil {
		return append(out, *e)
	}
	changed := theirs.without(d.set)
	changed = theirs.without(d.removed) || changed
	switch {
	case theirs.empty():
		return out
	case !changed:
		return append(out, *e)
	}
	left := *e
	left.FieldsV1 = &metav1.FieldsV1{Raw: theirs.encode(make([]byte, 0, len(raw)), true)}
	return append(out, left)
}

// unowned are the metadata that the server sets and nobody owns.
var unowned = []string{"creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid"}

// strip takes out what nobody owns.
func strip(s *set) {
	if s == nil {
		return
	}
	s.children = slices.DeleteFunc(s.children, func(c child) bool {
		switch c.element {
		case "f:apiVersion", "f:kind":
			return true
		case "f:metadata":
			c.set.member = false
			c.set.children = slices.DeleteFunc(c.set.children, func(m child) bool {
				_, found := slices.BinarySearch(unowned, m.element[2:])
				return found
			})
			return c.set.empty()
		}
		return false
	})
}

// maxUpdates is how many managers may own by updates; the oldest are thrown together beyond it.
const maxUpdates = 10

func capUpdates(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var updates []int
	for i := range entries {
		if entries[i].Operation == metav1.ManagedFieldsOperationUpdate {
			updates = append(updates, i)
		}
	}
	if len(updates) <= maxUpdates {
		return entries
	}
	slices.SortStableFunc(updates, func(a, b int) int { return compareTimes(entries[a].Time, entries[b].Time) })
	buckets := map[string]int{} // of entries, by version
	gone := map[int]bool{}
	for left := len(updates); left > maxUpdates && len(updates) > 0; updates = updates[1:] {
		i := updates[0]
		bucket, ok := buckets[entries[i].APIVersion]
		if !ok {
			buckets[entries[i].APIVersion] = i
			entries[i].Manager, entries[i].Subresource = "ancient-changes", ""
			continue
		}
		into, err := decode(rawOf(&entries[bucket]))
		from, ferr := decode(rawOf(&entries[i]))
		if err != nil || ferr != nil {
			continue
		}
		into.union(from)
		entries[bucket].FieldsV1 = &metav1.FieldsV1{Raw: into.encode(nil, true)}
		entries[bucket].Time = entries[i].Time
		gone[i] = true
		left--
	}
	out := entries[:0:0]
	for i := range entries {
		if !gone[i] {
			out = append(out, entries[i])
		}
	}
	return out
}

func compareTimes(a, b *metav1.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Time.Compare(b.Time)
}

// sortEntries brings the entries into the order in which Kubernetes shows them.
func sortEntries(entries []metav1.ManagedFieldsEntry) {
	slices.SortStableFunc(entries, func(a, b metav1.ManagedFieldsEntry) int {
		return cmp.Or(strings.Compare(string(a.Operation), string(b.Operation)), compareTimes(a.Time, b.Time),
			strings.Compare(a.Manager, b.Manager), strings.Compare(a.APIVersion, b.APIVersion), strings.Compare(a.Subresource, b.Subresource))
	})
}

// Same tells whether two accounts differ in nothing but times.
func Same(a, b []metav1.ManagedFieldsEntry) bool {
	return slices.EqualFunc(a, b, func(a, b metav1.ManagedFieldsEntry) bool {
		return a.Manager == b.Manager && a.Operation == b.Operation && a.APIVersion == b.APIVersion &&
			a.FieldsType == b.FieldsType && a.Subresource == b.Subresource && bytes.Equal(rawOf(&a), rawOf(&b))
	})
}
