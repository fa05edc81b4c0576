package all

import (
	"reflect"
	"strings"
	"testing"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestRows checks what must hold of every row.
func TestRows(t *testing.T) {
	names := map[string]string{}
	for _, r := range Rows {
		id := r.GVR.String()
		for _, key := range []string{"gvr " + id, "gvk " + r.GVK.String(), "storage " + r.Storage} {
			if other := names[key]; other != "" && !(r.Virtual && strings.HasPrefix(key, "storage")) {
				t.Errorf("%s: %s is also that of %s", id, key, other)
			}
			names[key] = id
		}
		o := r.New()
		if reflect.TypeOf(o).Elem() != r.Type || r.Type.Name() != r.GVK.Kind {
			t.Errorf("%s: makes %T", id, o)
		}
		if Of(o) != r || ByGVR(r.GVR) != r || ByGVK(r.GVK) != r {
			t.Errorf("%s: is not found", id)
		}
		if r.Virtual {
			asked := r.NewList == nil && reflect.DeepEqual(r.Verbs, []string{"create"})
			seen := r.NewList != nil && reflect.DeepEqual(r.Verbs, []string{"get", "list"})
			if !asked && !seen {
				t.Errorf("%s: virtual kinds are created or read, nothing else", id)
			}
			continue
		}
		if r.NewList == nil || reflect.TypeOf(r.NewList()).Elem().Name() != r.GVK.Kind+"List" {
			t.Errorf("%s: has no list", id)
		}
		for _, s := range r.Subresources {
			if s.Name == "status" || s.Name == "scale" || s.Kind.Kind == "" || len(s.Verbs) == 0 {
				t.Errorf("%s: subresource %q", id, s.Name)
			}
		}
		if (len(r.Categories) > 0) != (r.Categories != nil) {
			t.Errorf("%s: empty categories", id)
		}
	}
}

// TestStorageKeys pins the keys that differ from the resource's name: data moves
// between us and any other Kubernetes.
func TestStorageKeys(t *testing.T) {
	want := map[string]string{
		"services": "services/specs", "endpoints": "services/endpoints", "nodes": "minions",
		"replicationcontrollers": "controllers", "ingresses": "ingress",
		"apiservices": "apiregistration.k8s.io/apiservices", "customresourcedefinitions": "apiextensions.k8s.io/customresourcedefinitions",
	}
	for _, r := range Rows {
		key := r.GVR.Resource
		if w := want[key]; w != "" {
			key = w
		}
		if r.Storage != key {
			t.Errorf("%s is stored at %s, not %s", r.GVR.Resource, r.Storage, key)
		}
	}
}

// TestEmpty makes sure that a client's empty object panics nowhere, neither
// when it is new nor when it replaces another one.
func TestEmpty(t *testing.T) {
	for _, r := range Rows {
		fresh := func() api.Object {
			o := r.New()
			r.Prepare(o)
			if r.Default != nil {
				r.Default(o)
			}
			return o
		}
		o, old := fresh(), fresh()
		if r.Validate != nil {
			r.Validate(o)
		}
		if r.Warn != nil {
			r.Warn(o, nil)
			r.Warn(o, old)
		}
		r.PrepareUpdate(o, old)
		if r.ValidateUpdate != nil {
			r.ValidateUpdate(o, old)
		}
		if r.Status != nil {
			r.Status.Carry(o, old)
			if r.Status.Prepare != nil {
				r.Status.Prepare(o, old)
			}
			if r.Status.Validate != nil {
				r.Status.Validate(o, old)
			}
		}
		if r.Scale != nil && r.GVK.Kind != "ReplicationController" {
			r.Scale.SetReplicas(o, 3)
			if r.Scale.Replicas(o) != 3 {
				t.Errorf("%s: scale", r.GVR)
			}
			r.Scale.Selector(o)
			r.Scale.Observed(o)
		}
		for _, s := range r.Subresources {
			if s.Validate != nil {
				s.Validate(o, old)
			}
		}
		if r.SpecChanged != nil && r.SpecChanged(o, o) {
			t.Errorf("%s: has changed from itself", r.GVR)
		}
		if r.GVK.Kind == "ReplicationController" {
			continue // without a template it is refused, so it is never printed
		}
		for _, c := range r.Columns {
			c.Cell(o)
		}
		for _, f := range r.Fields {
			f(o)
		}
		for _, f := range r.Indexes {
			f(o)
		}
	}
}
