package aggregate

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// SetLocal says which group versions this server answers itself: once, with
// everything there is, before Run, and again whenever that changes.
func (a *Aggregator) SetLocal(builtin, custom []schema.GroupVersion) {
	next := map[string]*apiregistrationv1.APIService{}
	for _, o := range append(Local(custom, true), Local(builtin, false)...) {
		next[o.Name] = o
	}
	a.mu.Lock()
	var changed []string
	for name, o := range next {
		if have := a.local[name]; have == nil || !equality.Semantic.DeepEqual(have, o) {
			changed = append(changed, name)
		}
	}
	for name := range a.local {
		if next[name] == nil {
			changed = append(changed, name)
		}
	}
	a.local = next
	a.mu.Unlock()
	a.enqueue(changed...)
}

// registration is what one name needs.
type registration int

const (
	leave registration = iota
	create
	replace
	remove
)

// register decides what to do about a name: want is what this server would have
// (nil: nothing), have what there is. handled tells that the name was brought in order
// before, atStart that it was there when this server began.
//
// What is minded at the start only is touched only once, and only removed if it was
// there then: several servers, of several releases, write the same objects, and
// none may take away what another one has just begun to serve.
func register(want, have *apiregistrationv1.APIService, handled, atStart bool) registration {
	switch {
	case have == nil && want == nil, managed(want) == onStart && handled:
		return leave
	case have == nil:
		return create
	case managed(have) == "", managed(have) == onStart && (!atStart || handled):
		return leave
	case want == nil:
		return remove
	case equality.Semantic.DeepEqual(want.Spec, have.Spec):
		return leave
	}
	return replace
}

// managed is how an APIService is minded; empty: not by this server.
func managed(o *apiregistrationv1.APIService) string {
	if o == nil {
		return ""
	}
	switch v := o.Labels[managedLabel]; v {
	case onStart, always:
		return v
	}
	return ""
}

// registerName brings one name in order.
func (a *Aggregator) registerName(ctx context.Context, name string, have *apiregistrationv1.APIService) error {
	a.mu.Lock()
	said, want, handled, atStart := a.local != nil, a.local[name], a.handled[name], a.atStart[name]
	a.mu.Unlock()
	if !said {
		return nil
	}
	var err error
	switch register(want, have, handled, atStart) {
	case create:
		_, err = a.Client.Create(ctx, a.row, want.DeepCopy())
	case replace:
		next := have.DeepCopy()
		next.Spec = *want.Spec.DeepCopy()
		_, err = a.Client.Update(ctx, a.row, next, "")
	case remove:
		err = a.Client.Delete(ctx, a.row, "", name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(have.UID))})
	}
	// Somebody was faster: what they did brings the name here again.
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.handled[name] = true
	a.mu.Unlock()
	return nil
}
