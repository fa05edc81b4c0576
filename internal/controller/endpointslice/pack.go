package endpointslice

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/controller"
)

// group is the endpoints of one family that have the same ports: a slice holds
// endpoints of one group only.
type group struct {
	kind      discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
}

// changes are the writes that make slices hold what they should.
type changes struct {
	create, update, remove []*discoveryv1.EndpointSlice
}

// portKey is equal for equal ports in any order.
func portKey(ports []discoveryv1.EndpointPort) string {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b discoveryv1.EndpointPort) int {
		return cmp.Or(cmp.Compare(val(a.Name), val(b.Name)), cmp.Compare(val(a.Port), val(b.Port)), cmp.Compare(val(a.Protocol), val(b.Protocol)))
	})
	b, err := json.Marshal(sorted)
	if err != nil {
		panic(err) // plain strings and numbers
	}
	if len(sorted) == 0 {
		return ""
	}
	return string(b)
}

func val[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// identity tells endpoints of the same thing from others.
func identity(e *discoveryv1.Endpoint) string {
	if e.TargetRef != nil && e.TargetRef.UID != "" {
		return string(e.TargetRef.UID)
	}
	if len(e.Addresses) > 0 {
		return e.Addresses[0]
	}
	return ""
}

// pack fits the groups into slices of at most limit endpoints. Every write of a
// slice goes to every node, so an endpoint stays where it is, and new ones go to slices that
// change anyway, then into one that has room for all of them, then into new slices.
// What is to be removed is used again for what is to be created.
func pack(existing []*discoveryv1.EndpointSlice, groups []group, limit int, blank func(discoveryv1.AddressType) *discoveryv1.EndpointSlice) changes {
	var c changes
	left := slices.Clone(existing)
	for _, g := range groups {
		key := portKey(g.ports)
		var mine []*discoveryv1.EndpointSlice
		left = slices.DeleteFunc(left, func(e *discoveryv1.EndpointSlice) bool {
			is := e.AddressType == g.kind && portKey(e.Ports) == key
			if is {
				mine = append(mine, e)
			}
			return is
		})
		c.fit(mine, g, limit, blank)
	}
	c.remove = append(c.remove, left...)
	c.reuse()
	return c
}

// fit does one group.
func (c *changes) fit(mine []*discoveryv1.EndpointSlice, g group, limit int, blank func(discoveryv1.AddressType) *discoveryv1.EndpointSlice) {
	want := map[string]*discoveryv1.Endpoint{}
	for i := range g.endpoints {
		want[identity(&g.endpoints[i])] = &g.endpoints[i]
	}
	type draft struct {
		was, is *discoveryv1.EndpointSlice
		changed bool
	}
	var drafts []*draft
	for _, was := range mine {
		is := was.DeepCopy()
		b := blank(g.kind)
		is.Labels, is.OwnerReferences = b.Labels, b.OwnerReferences
		is.Endpoints = nil
		for _, e := range was.Endpoints {
			if w := want[identity(&e)]; w != nil {
				is.Endpoints = append(is.Endpoints, *w)
				delete(want, identity(&e))
			}
		}
		drafts = append(drafts, &draft{was, is, !equality.Semantic.DeepEqual(was, is)})
	}
	var rest []discoveryv1.Endpoint
	for _, e := range g.endpoints {
		if want[identity(&e)] != nil {
			rest = append(rest, e)
			delete(want, identity(&e))
		}
	}
	put := func(d *draft) {
		n := min(len(rest), limit-len(d.is.Endpoints))
		if n > 0 {
			d.is.Endpoints, rest, d.changed = append(d.is.Endpoints, rest[:n]...), rest[n:], true
		}
	}
	for _, d := range drafts {
		if d.changed {
			put(d)
		}
	}
	// The fullest unchanged slice that has room for all of a partial rest.
	var best *draft
	for _, d := range drafts {
		if n := len(d.is.Endpoints); !d.changed && n+len(rest)%limit <= limit && (best == nil || n > len(best.is.Endpoints)) {
			best = d
		}
	}
	for len(rest) > 0 && (best == nil || len(rest) >= limit) {
		d := &draft{is: blank(g.kind), changed: true}
		d.is.Ports = g.ports
		drafts = append(drafts, d)
		put(d)
	}
	if len(rest) > 0 {
		put(best)
	}
	kept := 0
	for i, d := range drafts {
		switch last := i == len(drafts)-1; {
		case len(d.is.Endpoints) == 0 && d.was != nil && (len(g.endpoints) > 0 || kept > 0 || !last && len(drafts) > 1):
			c.remove = append(c.remove, d.was)
			continue
		case d.was == nil:
			c.create = append(c.create, d.is)
		case d.changed:
			c.update = append(c.update, d.is)
		}
		kept++
	}
	if kept == 0 && len(g.endpoints) == 0 {
		c.create = append(c.create, blank(g.kind))
	}
}

// reuse turns a removal and a creation of the same family into an update.
func (c *changes) reuse() {
	var create []*discoveryv1.EndpointSlice
	for _, n := range c.create {
		i := slices.IndexFunc(c.remove, func(e *discoveryv1.EndpointSlice) bool { return e.AddressType == n.AddressType })
		if i < 0 {
			create = append(create, n)
			continue
		}
		is := c.remove[i].DeepCopy()
		is.Labels, is.OwnerReferences, is.Ports, is.Endpoints = n.Labels, n.OwnerReferences, n.Ports, n.Endpoints
		c.update = append(c.update, is)
		c.remove = slices.Delete(slices.Clone(c.remove), i, i+1)
	}
	c.create = create
}

// stamped is the latest trigger time that the slices tell.
func (c changes) stamped(existing []*discoveryv1.EndpointSlice) string {
	var latest time.Time
	text := ""
	for _, e := range existing {
		s := e.Annotations[corev1.EndpointsLastChangeTriggerTime]
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.After(latest) {
			latest, text = t, s
		}
	}
	return text
}

// stamp writes the trigger time into the slices that are written anyway.
func (c changes) stamp(at string) {
	for _, e := range append(slices.Clone(c.create), c.update...) {
		if at == "" {
			delete(e.Annotations, corev1.EndpointsLastChangeTriggerTime)
			continue
		}
		metav1.SetMetaDataAnnotation(&e.ObjectMeta, corev1.EndpointsLastChangeTriggerTime, at)
	}
}

func (c changes) actions() []controller.Action {
	var do []controller.Action
	for _, e := range c.create {
		do = append(do, controller.Action{Create: e, Else: func(err error) []controller.Action {
			if errors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return nil
			}
			return []controller.Action{{Fail: err}}
		}})
	}
	for _, e := range c.update {
		do = append(do, controller.Action{Update: e})
	}
	for _, e := range c.remove {
		do = append(do, controller.Action{Delete: &controller.Delete{Object: e}})
	}
	return do
}
