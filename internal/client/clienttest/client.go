// Package clienttest is an API in memory for unit tests of what uses
// client.Client: one revision counter, names, UIDs and timestamps, conflicts,
// finalizers and graceful deletion as the server has them, and a log of writes
// to assert on. It checks nothing (no validation, no admission): tests of the
// server's own behaviour use the server.
//
// Read client.go, then write.go, then watch.go.
package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

var _ client.Client = (*Client)(nil)

// Client is the API in memory. Set its fields before the first call.
type Client struct {
	// Now is the clock of timestamps.
	Now func() time.Time
	// Rows finds the row of an object; it is all.Of unless a test has kinds of its own.
	Rows func(api.Object) *api.Resource
	// Refuse is asked before each write; an error that it returns is what the
	// write returns, and nothing is written. The object is the one sent (nil for
	// deletes and patches).
	Refuse func(w Write, o api.Object) error

	mu      sync.Mutex
	rev     int64
	serial  int64
	kinds   map[*api.Resource]map[types.NamespacedName]api.Object
	ended   map[string]bool // namespaces that were and are no more
	history []change
	writes  []Write
	grown   chan struct{} // closed when the history grows
}

// Write is an entry of the log: a write that succeeded.
type Write struct {
	Verb        string // create, update, patch, delete, bind
	Resource    string // plural
	Subresource string
	Namespace   string
	Name        string
	Object      api.Object // as stored; the last state for a delete
}

// String is "verb resource/subresource namespace/name".
func (w Write) String() string {
	s := w.Verb + " " + w.Resource
	if w.Subresource != "" {
		s += "/" + w.Subresource
	}
	if w.Namespace != "" {
		return s + " " + w.Namespace + "/" + w.Name
	}
	return s + " " + w.Name
}

// New makes an API that holds the objects. They are stored as given, with
// status; a UID, a creation time and a resource version are added when missing.
func New(objects ...api.Object) *Client {
	c := &Client{
		Now: time.Now, Rows: all.Of,
		kinds: map[*api.Resource]map[types.NamespacedName]api.Object{}, grown: make(chan struct{}),
	}
	for _, o := range objects {
		c.Add(o)
	}
	return c
}

// Add stores an object with its defaults, as it would be read from a server, status and all, and does not log it.
func (c *Client) Add(o api.Object) api.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	o = o.DeepCopyObject().(api.Object)
	r := c.row(o)
	if r.Default != nil {
		r.Default(o)
	}
	if o.GetUID() == "" {
		o.SetUID(c.uid())
	}
	if at := o.GetCreationTimestamp(); at.IsZero() {
		o.SetCreationTimestamp(c.time())
	}
	c.put(r, o)
	return o
}

// Writes returns the log and empties it.
func (c *Client) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.writes
	c.writes = nil
	return w
}

// Log returns the log as text and empties it.
func (c *Client) Log() []string {
	var out []string
	for _, w := range c.Writes() {
		out = append(out, w.String())
	}
	return out
}

func (c *Client) row(o api.Object) *api.Resource {
	r := c.Rows(o)
	if r == nil {
		panic(fmt.Sprintf("clienttest: no row for %T", o))
	}
	return r
}

func (c *Client) Get(_ context.Context, r *api.Resource, namespace, name string) (api.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(r, namespace, name)
}

func (c *Client) get(r *api.Resource, namespace, name string) (api.Object, error) {
	if o := c.kinds[r][key(r, namespace, name)]; o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(r.GroupResource(), name)
}

func (c *Client) List(_ context.Context, r *api.Resource, namespace string, s client.Selector) ([]api.Object, int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []api.Object
	for _, o := range c.kinds[r] {
		ok, err := matches(r, namespace, s, o)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b api.Object) int {
		return strings.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName())
	})
	return out, c.rev, nil
}

func (c *Client) ByIndex(_ context.Context, r *api.Resource, index, value string) ([]api.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := r.Indexes[index]
	if f == nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("%s has no index %q", r.GVR.Resource, index))
	}
	var out []api.Object
	for _, o := range c.kinds[r] {
		if slices.Contains(f(o), value) {
			out = append(out, o)
		}
	}
	return out, nil
}

// matches tells whether a selector, narrowed to a namespace, selects the object.
func matches(r *api.Resource, namespace string, s client.Selector, o api.Object) (bool, error) {
	if namespace != "" && r.Namespaced && o.GetNamespace() != namespace {
		return false, nil
	}
	if s.Tied && !client.Tied(o) {
		return false, nil
	}
	if s.Labels != nil && !s.Labels.Matches(labels.Set(o.GetLabels())) {
		return false, nil
	}
	if s.Fields == nil || s.Fields.Empty() {
		return true, nil
	}
	set := fields.Set{}
	for _, q := range s.Fields.Requirements() {
		f := r.Fields[q.Field]
		if f == nil {
			return false, apierrors.NewBadRequest("field label not supported: " + q.Field)
		}
		set[q.Field] = f(o)
	}
	return s.Fields.Matches(set), nil
}

func key(r *api.Resource, namespace, name string) types.NamespacedName {
	if !r.Namespaced {
		namespace = ""
	}
	return types.NamespacedName{Namespace: namespace, Name: name}
}
