package apiserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// local is the API for parts in the same process.
type local struct {
	s       *Server
	user    *auth.User
	manager string
}

// Client returns the API as a user in this process sees it.
func (s *Server) Client(u *auth.User) client.Client {
	manager := strings.TrimPrefix(u.Name, "system:")
	if strings.HasPrefix(manager, "node:") {
		manager = "kubelet"
	}
	return local{s, u, manager}
}

var _ client.Client = local{}

func (l local) target(r *api.Resource, sub, ns, name string) target {
	return target{res: r, sub: sub, ns: ns, name: name, user: l.user, manager: l.manager, warn: func(string) {}}
}

func (l local) cache(r *api.Resource) (*cache, error) {
	if c := l.s.cache(r); c != nil {
		return c, nil
	}
	return nil, apierrors.NewMethodNotSupported(r.GroupResource(), "get")
}

func (l local) Get(_ context.Context, r *api.Resource, ns, name string) (o api.Object, err error) {
	defer recoverUnconverted(&err)
	c, err := l.cache(r)
	if err != nil {
		return nil, err
	}
	e := c.get(r.Key(ns, name))
	if e == nil {
		return nil, apierrors.NewNotFound(r.GroupResource(), name)
	}
	return e.asStored(), nil
}

func (l local) List(_ context.Context, r *api.Resource, ns string, sel client.Selector) (out []api.Object, rev int64, err error) {
	defer recoverUnconverted(&err)
	c, err := l.cache(r)
	if err != nil {
		return nil, 0, err
	}
	rev = l.s.feed.applied.Load()
	s := newSelector(r, ns, sel.Labels, sel.Fields)
	s.tied = sel.Tied
	scan(c.snapshot(), &s, "", func(e *entry) bool {
		if s.matches(e) {
			out = append(out, e.asStored())
		}
		return true
	})
	return out, rev, nil
}

func (l local) ByIndex(ctx context.Context, r *api.Resource, index, value string) (out []api.Object, err error) {
	defer recoverUnconverted(&err)
	c, err := l.cache(r)
	if err != nil {
		return nil, err
	}
	if _, ok := r.Indexes[index]; !ok {
		return nil, fmt.Errorf("%s has no index %q", r.GVR.Resource, index)
	}
	es := c.byIndex(ctx, index, value)
	out = make([]api.Object, len(es))
	for i, e := range es {
		out[i] = e.asStored()
	}
	return out, nil
}

func (l local) Create(ctx context.Context, r *api.Resource, o api.Object) (_ api.Object, err error) {
	defer recoverUnconverted(&err)
	return object(l.s.create(ctx, l.target(r, "", o.GetNamespace(), o.GetName()), o))
}

func (l local) Update(ctx context.Context, r *api.Resource, o api.Object, sub string) (_ api.Object, err error) {
	defer recoverUnconverted(&err)
	if r.Custom != nil && r.Custom.Remote && o.GetObjectKind().GroupVersionKind().Version != r.GVK.Version {
		// It was read as it is stored.
		rev := o.GetResourceVersion()
		o = o.DeepCopyObject().(api.Object)
		o.SetResourceVersion("") // webhooks see what is stored
		if o, err = r.Custom.Convert(o, r.GVK.Version); err != nil {
			return nil, err
		}
		o.SetResourceVersion(rev)
	}
	first := true
	return object(l.s.update(ctx, l.target(r, sub, o.GetNamespace(), o.GetName()), o.GetUID(), func(api.Object) (api.Object, error) {
		if first {
			first = false
			return o, nil
		}
		return o.DeepCopyObject().(api.Object), nil
	}))
}

func (l local) Patch(ctx context.Context, r *api.Resource, ns, name string, pt types.PatchType, data []byte, sub string) (_ api.Object, err error) {
	defer recoverUnconverted(&err)
	t := l.target(r, sub, ns, name)
	if pt == types.ApplyPatchType {
		e, _, err := l.s.apply(ctx, t, data, true, ignoreFields)
		return object(e, err)
	}
	return object(l.s.patch(ctx, t, pt, data, ignoreFields))
}

func (l local) Delete(ctx context.Context, r *api.Resource, ns, name string, o metav1.DeleteOptions) (err error) {
	defer recoverUnconverted(&err)
	_, _, err = l.s.remove(ctx, l.target(r, "", ns, name), o)
	return err
}

func (l local) Bind(ctx context.Context, ns, pod string, uid types.UID, node string) error {
	t := l.target(all.For[*corev1.Pod](), "binding", ns, pod)
	_, err := l.s.bind(ctx, t, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{UID: uid}, Target: corev1.ObjectReference{Kind: "Node", Name: node}})
	return err
}

func object(e *entry, err error) (api.Object, error) {
	if err != nil {
		return nil, err
	}
	return e.object(), nil
}

// bind assigns a pod to a node.
func (s *Server) bind(ctx context.Context, t target, b *corev1.Binding) (*entry, error) {
	if b.Target.Kind != "" && b.Target.Kind != "Node" {
		return nil, wrong(fmt.Errorf("target.kind: Unsupported value: %q: supported values: \"Node\", \"<empty>\"", b.Target.Kind))
	}
	if b.Target.Name == "" {
		return nil, wrong(errors.New("target.name: Required value"))
	}
	return s.update(ctx, t, b.UID, func(old api.Object) (api.Object, error) {
		was := old.(*corev1.Pod)
		if b.ResourceVersion != "" && b.ResourceVersion != was.ResourceVersion {
			return nil, notThatOne(&t, "ResourceVersion", b.ResourceVersion, was.ResourceVersion)
		}
		refuse := func(f string, a ...any) error {
			return apierrors.NewConflict(corev1.Resource("pods/binding"), t.name, fmt.Errorf(f, a...))
		}
		switch {
		case was.DeletionTimestamp != nil:
			return nil, refuse("pod %s is being deleted, cannot be assigned to a host", was.Name)
		case was.Spec.NodeName != "":
			return nil, refuse("pod %s is already assigned to node %q", was.Name, was.Spec.NodeName)
		case len(was.Spec.SchedulingGates) > 0:
			return nil, refuse("pod %s has non-empty .spec.schedulingGates", was.Name)
		}
		pod := was.DeepCopy()
		pod.Spec.NodeName = b.Target.Name
		for k, v := range b.Annotations {
			if pod.Annotations == nil {
				pod.Annotations = map[string]string{}
			}
			pod.Annotations[k] = v
		}
		for k, v := range b.Labels {
			if pod.Labels == nil {
				pod.Labels = map[string]string{}
			}
			pod.Labels[k] = v
		}
		setPodCondition(pod, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: s.now()}})
		return pod, nil
	})
}

func setPodCondition(pod *corev1.Pod, c corev1.PodCondition) {
	for i := range pod.Status.Conditions {
		if have := &pod.Status.Conditions[i]; have.Type == c.Type {
			if have.Status == c.Status {
				c.LastTransitionTime = have.LastTransitionTime
			}
			*have = c
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, c)
}

func (l local) Watch(ctx context.Context, r *api.Resource, ns string, sel client.Selector, after int64) (_ client.Watch, err error) {
	defer recoverUnconverted(&err)
	c, err := l.cache(r)
	if err != nil {
		return nil, err
	}
	s := newSelector(r, ns, sel.Labels, sel.Fields)
	s.tied = sel.Tied
	if after >= 0 {
		w, err := c.watchFrom(s, after)
		if err != nil {
			return nil, err
		}
		return &localWatch{w: w}, nil
	}
	rev := l.s.feed.applied.Load()
	entries, w := c.watchAll(s)
	first := make([]client.Event, 0, len(entries)+1)
	for _, e := range entries {
		first = append(first, client.Event{Type: watch.Added, Object: e.asStored(), Rev: e.rev})
	}
	return &localWatch{w: w, first: append(first, client.Event{Type: watch.Bookmark, Rev: rev})}, nil
}

type localWatch struct {
	w     *watcher
	first []client.Event
	buf   []client.Event
}

func (w *localWatch) Close() { w.w.close() }

func (w *localWatch) Next(ctx context.Context) (out []client.Event, err error) {
	defer recoverUnconverted(&err)
	if w.first != nil {
		out := w.first
		w.first = nil
		return out, nil
	}
	clear(w.buf) // or else it holds on to objects while it waits
	ts, err := w.w.next(ctx)
	if err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			w.Close()
		}
		return nil, err
	}
	w.buf = w.buf[:0]
	for _, t := range ts {
		ev := client.Event{Type: t.kind, Object: t.e.asStored(), Rev: t.ch.rev}
		if t.ch.old != nil {
			ev.Old = t.ch.old.asStored()
		}
		w.buf = append(w.buf, ev)
	}
	return w.buf, nil
}

func secondsOf(n int64) time.Duration { return time.Duration(n) * time.Second }
