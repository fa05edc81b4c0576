package garbagecollector

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
)

// ID names an object.
type ID struct {
	Row             *api.Resource
	Namespace, Name string
}

// String is for logs.
func (id ID) String() string { return id.Row.GVR.Resource + " " + id.Namespace + "/" + id.Name }

func idOf(r *api.Resource, o api.Object) ID { return ID{r, o.GetNamespace(), o.GetName()} }

// graph knows the owners of each object that has some, both ways.
type graph struct {
	mu         sync.Mutex
	owners     map[ID][]edge
	dependents map[types.UID]map[ID]bool
}

// edge is a reference to an owner.
type edge struct {
	owner types.UID
	at    ID // Row is nil when the kind is not known
	block bool
}

func newGraph() *graph {
	return &graph{owners: map[ID][]edge{}, dependents: map[types.UID]map[ID]bool{}}
}

// observe takes in a change and returns whom to look at because of it.
func (g *graph) observe(r *api.Resource, ev client.Event, rowOf func(group, kind string) *api.Resource) []ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	o, id := ev.Object, idOf(r, ev.Object)
	was := g.owners[id]
	if ev.Type == watch.Deleted {
		g.set(id, nil)
		look := g.of(o.GetUID())
		for _, e := range was {
			look = append(look, at(e)...)
		}
		return look
	}
	is := edges(r, o, rowOf)
	g.set(id, is)
	var look []ID
	switch {
	case o.GetDeletionTimestamp() != nil:
		// Its own deletion may have to be carried out. What it depends on may be waiting for it, still.
		if slices.Contains(o.GetFinalizers(), metav1.FinalizerDeleteDependents) || slices.Contains(o.GetFinalizers(), metav1.FinalizerOrphanDependents) {
			look = append(look, id)
		}
	case len(is) > 0 && !slices.Equal(was, is):
		look = append(look, id)
	}
	// An owner may have waited for what has let go of it now.
	for _, e := range was {
		if e.block && !slices.Contains(is, e) {
			look = append(look, at(e)...)
		}
	}
	return look
}

func at(e edge) []ID {
	if e.at.Row == nil {
		return nil
	}
	return []ID{e.at}
}

func edges(r *api.Resource, o api.Object, rowOf func(group, kind string) *api.Resource) []edge {
	var out []edge
	for _, ref := range o.GetOwnerReferences() {
		e := edge{owner: ref.UID, block: ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion}
		if row := rowOf(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group, ref.Kind); row != nil {
			e.at = ownerID(row, o, ref.Name)
		}
		out = append(out, e)
	}
	return out
}

// ownerID is where the owner of an object is: in its namespace, or in none.
func ownerID(row *api.Resource, dependent api.Object, name string) ID {
	id := ID{Row: row, Name: name}
	if row.Namespaced {
		id.Namespace = dependent.GetNamespace()
	}
	return id
}

func (g *graph) set(id ID, is []edge) {
	for _, e := range g.owners[id] {
		delete(g.dependents[e.owner], id)
		if len(g.dependents[e.owner]) == 0 {
			delete(g.dependents, e.owner)
		}
	}
	delete(g.owners, id)
	if len(is) == 0 {
		return
	}
	g.owners[id] = is
	for _, e := range is {
		if g.dependents[e.owner] == nil {
			g.dependents[e.owner] = map[ID]bool{}
		}
		g.dependents[e.owner][id] = true
	}
}

func (g *graph) of(owner types.UID) []ID {
	var out []ID
	for id := range g.dependents[owner] {
		out = append(out, id)
	}
	return out
}

// dependentsOf are those that refer to the owner, as far as seen.
func (g *graph) dependentsOf(owner types.UID) []ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.of(owner)
}

func (g *graph) all() []ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []ID
	for id := range g.owners {
		out = append(out, id)
	}
	return out
}

// forget drops all objects of a kind that is gone.
func (g *graph) forget(r *api.Resource) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.owners {
		if id.Row == r {
			g.set(id, nil)
		}
	}
}
