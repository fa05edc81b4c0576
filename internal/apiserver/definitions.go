package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/apiextensions"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// RunDefinitions judges definitions of custom resources until the context ends: whether
// their names are free, which makes them established, and what is left of the objects of
// those that are being deleted.
func (s *Server) RunDefinitions(ctx context.Context) error {
	d := definer{s: s, c: s.Client(auth.Component("customresourcedefinition-controller")), again: make(chan struct{}, 1)}
	for {
		err := d.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return err
		}
	}
}

type definer struct {
	s     *Server
	c     client.Client
	again chan struct{}
	timer *time.Timer
}

func (d *definer) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := d.c.Watch(ctx, definitionRow(), "", client.Selector{}, -1)
	if err != nil {
		return err
	}
	defer w.Close()
	events := make(chan error)
	go func() {
		for {
			_, err := w.Next(ctx)
			select {
			case events <- err:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case err := <-events:
			if err != nil {
				return err
			}
		case <-d.again:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := d.judgeAll(ctx); err != nil {
			return err
		}
	}
}

// judgeAll looks at every definition: they are few, and names are a matter between them.
func (d *definer) judgeAll(ctx context.Context) error {
	all, err := client.List[*apiextensionsv1.CustomResourceDefinition](ctx, d.c, "", nil)
	if err != nil {
		return err
	}
	// Who was first has the name.
	slices.SortFunc(all, func(a, b *apiextensionsv1.CustomResourceDefinition) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	for i, crd := range all {
		others := slices.Delete(slices.Clone(all), i, i+1)
		next, err := d.judge(ctx, crd, others)
		switch {
		case apierrors.IsNotFound(err), apierrors.IsConflict(err):
			// Somebody was faster, and what they did comes as an event.
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			d.s.Log.Error("definition of a custom resource", "name", crd.Name, "err", err)
			d.later(time.Second)
		case next != nil:
			all[i] = next
		}
	}
	return nil
}

func (d *definer) judge(ctx context.Context, crd *apiextensionsv1.CustomResourceDefinition, others []*apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.CustomResourceDefinition, error) {
	status, changed := apiextensions.Conditions(crd, others, d.s.now())
	if crd.DeletionTimestamp != nil {
		return nil, d.finish(ctx, crd, status, changed)
	}
	if !changed {
		return nil, nil
	}
	next := crd.DeepCopy()
	next.Status = status
	return client.UpdateStatus(ctx, d.c, next)
}

// finish deletes the objects of a definition that is being deleted, and lets it go when there are none left.
func (d *definer) finish(ctx context.Context, crd *apiextensionsv1.CustomResourceDefinition, status apiextensionsv1.CustomResourceDefinitionStatus, changed bool) error {
	if !slices.Contains(crd.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer) {
		return nil
	}
	how, cause := apiextensions.NeverServed, error(nil)
	if m := d.s.kinds.Load().made[crd.Name]; m != nil {
		how, cause = d.empty(ctx, m.main)
	}
	next := crd.DeepCopy()
	next.Status = status
	released := apiextensions.Terminating(&next.Status, how, cause, d.s.now())
	if changed || !equality.Semantic.DeepEqual(crd.Status.Conditions, next.Status.Conditions) {
		var err error
		if crd, err = client.UpdateStatus(ctx, d.c, next); err != nil {
			return err
		}
	}
	if !released {
		d.later(time.Second) // somebody's finalizers hold them
		return nil
	}
	next = crd.DeepCopy()
	next.Finalizers = apiextensions.Released(next)
	_, err := client.Update(ctx, d.c, next)
	return err
}

// empty deletes all objects of a kind and tells how that went.
func (d *definer) empty(ctx context.Context, r *api.Resource) (apiextensions.Outcome, error) {
	objects, _, err := d.c.List(ctx, r, "", client.Selector{})
	if err != nil {
		return apiextensions.NotListed, err
	}
	var errs []error
	for _, o := range objects {
		if o.GetDeletionTimestamp() != nil {
			continue
		}
		uid := o.GetUID()
		if err := d.c.Delete(ctx, r, o.GetNamespace(), o.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("%s/%s: %w", o.GetNamespace(), o.GetName(), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return apiextensions.NotDeleted, err
	}
	objects, _, err = d.c.List(ctx, r, "", client.Selector{})
	switch {
	case err != nil:
		return apiextensions.NotListed, err
	case len(objects) > 0:
		return apiextensions.StillThere, fmt.Errorf("%d are left", len(objects))
	}
	return apiextensions.AllDeleted, nil
}

// later has all looked at again.
func (d *definer) later(after time.Duration) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer = time.AfterFunc(after, func() {
		select {
		case d.again <- struct{}{}:
		default:
		}
	})
}
