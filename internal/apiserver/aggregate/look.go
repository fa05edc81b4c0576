package aggregate

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/api/discovery"
	"github.com/skiff-k8s/skiff/internal/client"
)

// work takes names off the queue until it is shut down.
func (a *Aggregator) work(ctx context.Context, q workqueue.TypedRateLimitingInterface[string]) {
	for {
		name, down := q.Get()
		if down {
			return
		}
		again, err := a.look(ctx, name)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			// A conflict is the normal way to learn that somebody was faster; a backend that fails has it in its status.
			var unwell *unwellError
			if !apierrors.IsConflict(err) && !errors.As(err, &unwell) {
				a.Log.Error("APIService not brought in order, will retry", "apiservice", name, "err", err)
			}
			q.AddRateLimited(name)
		default:
			q.Forget(name)
			if again {
				q.AddAfter(name, checkEvery)
			}
		}
		q.Done(name)
	}
}

// unwellError is why a backend is looked at again soon.
type unwellError struct{ error }

// look brings everything about a name in order, and tells whether it must be looked at again in time.
func (a *Aggregator) look(ctx context.Context, name string) (again bool, err error) {
	err = guarded(ctx, func(ctx context.Context) error {
		again, err = a.bring(ctx, name)
		return err
	})
	return again, err
}

func (a *Aggregator) bring(ctx context.Context, name string) (again bool, err error) {
	have, err := a.get(ctx, name)
	if err != nil {
		return false, err
	}
	if err := a.registerName(ctx, name, have); err != nil {
		return false, err
	}
	if have, err = a.get(ctx, name); err != nil || have == nil {
		return false, err
	}
	if have.Spec.Service == nil {
		return false, a.tell(ctx, have, apiregistration.LocalCondition())
	}
	b := a.backend(name)
	if b == nil || !equality.Semantic.DeepEqual(b.state.Load().object.Spec, have.Spec) {
		return false, nil // the watch is on its way here with what changed
	}
	return a.examine(ctx, b, have)
}

// get reads an APIService; nil when there is none.
func (a *Aggregator) get(ctx context.Context, name string) (*apiregistrationv1.APIService, error) {
	o, err := a.Client.Get(ctx, a.row, "", name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o.(*apiregistrationv1.APIService), nil
}

// examine finds out whether a backend is available, and tells.
func (a *Aggregator) examine(ctx context.Context, b *backend, have *apiregistrationv1.APIService) (again bool, err error) {
	st, ref := b.state.Load(), have.Spec.Service
	var s seen
	o, err := a.Client.Get(ctx, all.For[*corev1.Service](), ref.Namespace, ref.Name)
	if s.serviceErr = err; err == nil {
		s.service = o.(*corev1.Service)
		s.slices, s.slicesErr = client.ByIndex[*discoveryv1.EndpointSlice](ctx, a.Client, discovery.IndexService, ref.Namespace+"/"+ref.Name)
	}
	c, ask := judge(ref, s)
	var answer []byte
	var unwell error
	if ask {
		if answer, unwell = b.check(ctx, st); unwell != nil {
			c = failedCheck(unwell)
		} else if answer == nil {
			answer = []byte{}
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	} else if c.Status == apiregistrationv1.ConditionUnknown {
		unwell = errors.New(c.Message)
	}
	news, problem := b.learn(answer)
	if problem != nil {
		a.Log.Warn("a backend's resources cannot be read", "apiservice", b.name, "err", problem)
	}
	b.decided.Store(&c)
	if err := a.tell(ctx, have, c); err != nil {
		return false, err
	}
	if news {
		a.Changed()
	}
	if unwell != nil {
		return false, &unwellError{unwell}
	}
	return ask, nil
}

// tell writes a condition, if it is another one than there was.
func (a *Aggregator) tell(ctx context.Context, have *apiregistrationv1.APIService, c apiregistrationv1.APIServiceCondition) error {
	if same(apiregistration.Available(have), &c) {
		return nil
	}
	if was := apiregistration.Available(have); c.Status != apiregistrationv1.ConditionTrue && was != nil && was.Status == apiregistrationv1.ConditionTrue {
		a.lost(have.Name, c.Reason)
	}
	next := have.DeepCopy()
	apiregistration.SetCondition(next, c, a.Now())
	a.Log.Info("availability of an APIService", "apiservice", have.Name, "status", c.Status, "reason", c.Reason, "message", c.Message)
	_, err := a.Client.Update(ctx, a.row, next, "status")
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
