package apiserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/custom"
	"github.com/skiff-k8s/skiff/internal/store"
)

// kinds are what is served at a moment: the rows of the table, and the kinds that
// definitions make. It is never changed: the feed replaces it just before it carries a
// definition into its cache, so that who sees that a definition is established finds
// its kind served.
type kinds struct {
	rows   []*api.Resource // every served version of custom kinds has one
	byGVR  map[schema.GroupVersionResource]*api.Resource
	byGVK  map[schema.GroupVersionKind]*api.Resource
	caches map[*api.Resource]*cache
	made   map[string]*made // by the name of the definition
}

// made is what a definition made.
type made struct {
	rev        int64 // of the definition that was looked at last
	uid        types.UID
	generation int64
	spec       [sha256.Size]byte
	names      apiextensionsv1.CustomResourceDefinitionNames

	main *api.Resource   // the row of the stored version
	rows []*api.Resource // the served ones, best version first
}

func definitionRow() *api.Resource {
	return all.For[*apiextensionsv1.CustomResourceDefinition]()
}

// builtin is what is served before any definition.
func builtin() *kinds {
	k := &kinds{rows: all.Rows, byGVR: map[schema.GroupVersionResource]*api.Resource{}, byGVK: map[schema.GroupVersionKind]*api.Resource{},
		caches: map[*api.Resource]*cache{}, made: map[string]*made{}}
	for _, r := range k.rows {
		k.byGVR[r.GVR], k.byGVK[r.GVK] = r, r
		if !r.Virtual {
			k.caches[r] = newCache(r)
		}
	}
	return k
}

// row finds what is served under a path.
func (s *Server) row(gvr schema.GroupVersionResource) *api.Resource { return s.kinds.Load().byGVR[gvr] }

// cache holds the objects of a kind. A request that began before its kind changed gets the
// present one; it is nil, and has nothing, when the kind is gone.
func (s *Server) cache(r *api.Resource) *cache {
	k := s.kinds.Load()
	c := k.caches[r]
	if c == nil && r.Custom != nil {
		c = k.caches[k.present(r)]
	}
	return c
}

// present is the row that is in the place of one that was; nil: there is none. The kind of a
// definition that was made anew is another one.
func (k *kinds) present(r *api.Resource) *api.Resource {
	m := k.made[r.Custom.Definition]
	if m == nil || m.uid != r.Custom.UID {
		return nil
	}
	if now := m.main.Custom.Versions[r.GVR.Version]; now != nil && now.GVR == r.GVR && k.caches[now] != nil {
		return now
	}
	return nil
}

// Rows are the kinds there are, each once, for parts that work on all of them.
func (s *Server) Rows() []*api.Resource {
	k := s.kinds.Load()
	out := make([]*api.Resource, 0, len(k.rows))
	for _, r := range k.rows {
		if r.Custom == nil {
			out = append(out, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.made)) {
		out = append(out, k.made[name].main)
	}
	return out
}

// RowsChanged tells that Rows are others now.
func (s *Server) RowsChanged() <-chan struct{} { return s.rowsChanged }

// define makes the kinds anew when definitions change. Only the feed calls it, with the
// revision that it has come to and what is written at it.
func (s *Server) define(ctx context.Context, rev int64, writes []write) error {
	old := s.kinds.Load()
	next := builtin()
	for _, r := range all.Rows {
		if c := old.caches[r]; c != nil {
			next.caches[r] = c
		}
	}
	definitions := map[string]*entry{}
	for _, e := range old.caches[definitionRow()].all() {
		definitions[e.key] = e
	}
	for _, w := range writes {
		definitions[w.key] = w.now
	}
	same := true
	for _, e := range definitions {
		if e == nil {
			continue
		}
		name := e.name()
		m := old.made[name]
		if m == nil || m.rev != e.rev {
			crd := e.object().(*apiextensionsv1.CustomResourceDefinition)
			if !established(crd) {
				continue
			}
			if m == nil || !m.isOf(crd) {
				m, same = s.make(crd, e), false
				switch err := s.fill(ctx, next, m, rev); {
				case errors.Is(err, errUnreadable):
					// One kind must not stop all others.
					s.Log.Error("a custom resource cannot be served", "definition", name, "err", err)
					continue
				case err != nil:
					return fmt.Errorf("definition %s: %w", name, err)
				}
				next.made[name] = m
				continue
			}
			m = m.at(e.rev)
		}
		for _, r := range append(slices.Clone(m.rows), m.main) {
			next.caches[r] = old.caches[r]
		}
		next.made[name] = m
	}
	if same && len(next.made) == len(old.made) {
		// The rows are the same; what was looked at is noted where only the feed looks.
		for name, m := range next.made {
			old.made[name].rev = m.rev
		}
		return nil
	}
	next.order()
	s.feed.setCaches(next)
	s.kinds.Store(next)
	for r, c := range old.caches {
		if next.caches[r] != c {
			c.retire()
			s.appliers.Forget(r)
			plans.Delete(r)
		}
	}
	s.forgetDocuments()
	s.aggregator.SetLocal(s.ownVersions())
	select {
	case s.rowsChanged <- struct{}{}:
	default:
	}
	return nil
}

// order lists the custom rows by group, best version first, then by name.
func (k *kinds) order() {
	var rows []*api.Resource
	for _, m := range k.made {
		rows = append(rows, m.rows...)
	}
	slices.SortFunc(rows, func(a, b *api.Resource) int {
		if c := strings.Compare(a.GVR.Group, b.GVR.Group); c != 0 {
			return c
		}
		if c := version.CompareKubeAwareVersionStrings(b.GVR.Version, a.GVR.Version); c != 0 {
			return c
		}
		return strings.Compare(a.GVR.Resource, b.GVR.Resource)
	})
	for _, r := range rows {
		k.byGVR[r.GVR], k.byGVK[r.GVK] = r, r
	}
	k.rows = slices.Concat(k.rows, rows)
}

// established tells that the kind of a definition is served.
func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established {
			return c.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

// isOf tells that a definition makes the same kind: one that is being deleted still does,
// and those who watch its objects see the end of each.
func (m *made) isOf(crd *apiextensionsv1.CustomResourceDefinition) bool {
	return m.uid == crd.UID && equality.Semantic.DeepEqual(m.names, crd.Status.AcceptedNames) &&
		(m.generation == crd.Generation || m.spec == specSum(crd))
}

func specSum(crd *apiextensionsv1.CustomResourceDefinition) [sha256.Size]byte {
	b, err := crd.Spec.Marshal()
	if err != nil {
		panic(err) // it was stored in the same form
	}
	return sha256.Sum256(b)
}

// at is the same, seen at a revision of its definition.
func (m *made) at(rev int64) *made {
	c := *m
	c.rev = rev
	return &c
}

// make makes the rows of a definition, which is that of the entry. Of the definition only
// the stored form is kept.
func (s *Server) make(crd *apiextensionsv1.CustomResourceDefinition, e *entry) *made {
	m := &made{rev: e.rev, uid: crd.UID, generation: crd.Generation, spec: specSum(crd), names: crd.Status.AcceptedNames}
	one, many := s.converters(crd)
	rows := custom.Rows(crd, func() *apiextensionsv1.CustomResourceDefinition {
		return e.object().(*apiextensionsv1.CustomResourceDefinition)
	})
	versions := map[string]*api.Resource{}
	for _, r := range rows {
		versions[r.GVR.Version] = r
		if r.Custom.Stored {
			m.main = r
		}
		if r.Custom.Served {
			m.rows = append(m.rows, r)
		}
	}
	for _, r := range rows {
		r.Custom.Versions = versions
		r.Custom.UID, r.Custom.Main = crd.UID, m.main
		r.Custom.Convert, r.Custom.ConvertAll, r.Custom.Remote = one, many, many != nil
	}
	return m
}

// errUnreadable is wrapped by errors about objects that are stored and cannot be read.
var errUnreadable = errors.New("unreadable object")

// fill makes the caches of new rows from what is stored.
func (s *Server) fill(ctx context.Context, k *kinds, m *made, rev int64) error {
	prefix := m.main.Prefix("")
	page, err := s.Store.Range(ctx, prefix, store.PrefixEnd(prefix), 0, rev)
	if err != nil {
		return err
	}
	main := newCache(m.main)
	k.caches[m.main] = main
	for _, r := range m.rows {
		if r != m.main {
			c := newCache(r)
			k.caches[r] = c
			main.versions = append(main.versions, c)
		}
	}
	for _, c := range append(main.versions, main) {
		c.base, c.feed = rev, s.feed
		for _, kv := range page.KVs {
			e, err := readEntry(c.res, kv.Key, kv.Value, kv.Mod)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", errUnreadable, kv.Key, err)
			}
			c.load(e)
		}
	}
	return nil
}
