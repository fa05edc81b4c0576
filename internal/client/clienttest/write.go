package clienttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api"
)

func (c *Client) Create(_ context.Context, r *api.Resource, o api.Object) (api.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o = o.DeepCopyObject().(api.Object)
	w := Write{Verb: "create", Resource: r.GVR.Resource, Namespace: o.GetNamespace(), Name: o.GetName()}
	if o.GetResourceVersion() != "" {
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if err := c.refuse(w, o); err != nil {
		return nil, err
	}
	if o.GetName() == "" {
		o.SetName(o.GetGenerateName() + c.suffix())
	}
	if c.kinds[r][key(r, o.GetNamespace(), o.GetName())] != nil {
		return nil, apierrors.NewAlreadyExists(r.GroupResource(), o.GetName())
	}
	if err := c.terminating(r, o); err != nil {
		return nil, err
	}
	if r.Default != nil {
		r.Default(o)
	}
	if r.Prepare != nil {
		r.Prepare(o)
	}
	o.SetUID(c.uid())
	o.SetCreationTimestamp(c.time())
	o.SetDeletionTimestamp(nil)
	if r.SpecChanged != nil {
		o.SetGeneration(1)
	}
	c.put(r, o)
	c.logged(w, o)
	return o, nil
}

func (c *Client) Update(_ context.Context, r *api.Resource, o api.Object, subresource string) (api.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.update("update", r, o, subresource)
}

func (c *Client) update(verb string, r *api.Resource, o api.Object, subresource string) (api.Object, error) {
	w := Write{Verb: verb, Resource: r.GVR.Resource, Subresource: subresource, Namespace: o.GetNamespace(), Name: o.GetName()}
	if err := c.refuse(w, o); err != nil {
		return nil, err
	}
	old, err := c.get(r, o.GetNamespace(), o.GetName())
	if err != nil {
		return nil, err
	}
	if v := o.GetResourceVersion(); v != "" && v != old.GetResourceVersion() {
		return nil, conflict(r, o.GetName(), "the object has been modified; please apply your changes to the latest version and try again")
	}
	if u := o.GetUID(); u != "" && u != old.GetUID() {
		return nil, conflict(r, o.GetName(), fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", u, old.GetUID()))
	}
	next := o.DeepCopyObject().(api.Object)
	switch subresource {
	case "":
		if r.PrepareUpdate != nil {
			r.PrepareUpdate(next, old)
		}
	case "status":
		sent := next
		next = old.DeepCopyObject().(api.Object)
		if r.Status == nil {
			return nil, apierrors.NewNotFound(r.GroupResource(), o.GetName())
		}
		r.Status.Carry(next, sent)
		// Like the server: metadata may be changed along with the status.
		next.SetLabels(sent.GetLabels())
		next.SetAnnotations(sent.GetAnnotations())
		next.SetFinalizers(sent.GetFinalizers())
	case "finalize":
		sent := next.(*corev1.Namespace)
		next = old.DeepCopyObject().(api.Object)
		next.(*corev1.Namespace).Spec.Finalizers = sent.Spec.Finalizers
	default:
		return nil, apierrors.NewMethodNotSupported(r.GroupResource(), "update "+subresource)
	}
	next.SetUID(old.GetUID())
	next.SetCreationTimestamp(old.GetCreationTimestamp())
	next.SetDeletionTimestamp(old.GetDeletionTimestamp())
	next.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	next.SetGeneration(old.GetGeneration())
	if r.SpecChanged != nil && subresource == "" && r.SpecChanged(next, old) {
		next.SetGeneration(old.GetGeneration() + 1)
	}
	if next.GetDeletionTimestamp() != nil && gone(next) {
		c.remove(r, next)
	} else {
		c.put(r, next)
	}
	c.logged(w, next)
	return next, nil
}

func (c *Client) Patch(_ context.Context, r *api.Resource, namespace, name string, t types.PatchType, data []byte, subresource string) (api.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, err := c.get(r, namespace, name)
	if err != nil {
		return nil, err
	}
	was, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var is []byte
	switch t {
	case types.JSONPatchType:
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(data); err == nil {
			is, err = p.Apply(was)
		}
	case types.MergePatchType:
		is, err = jsonpatch.MergePatch(was, data)
	case types.StrategicMergePatchType:
		is, err = strategicpatch.StrategicMergePatch(was, data, r.New())
	default:
		return nil, apierrors.NewGenericServerResponse(415, "patch", r.GroupResource(), name, "the body of the request was in an unknown format", 0, false)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	next := r.New()
	if err := json.Unmarshal(is, next); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return c.update("patch", r, next, subresource)
}

func (c *Client) Delete(_ context.Context, r *api.Resource, namespace, name string, opts metav1.DeleteOptions) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := Write{Verb: "delete", Resource: r.GVR.Resource, Namespace: namespace, Name: name}
	if err := c.refuse(w, nil); err != nil {
		return err
	}
	old, err := c.get(r, namespace, name)
	if err != nil {
		return err
	}
	if p := opts.Preconditions; p != nil {
		if p.UID != nil && *p.UID != old.GetUID() {
			return conflict(r, name, fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", *p.UID, old.GetUID()))
		}
		if p.ResourceVersion != nil && *p.ResourceVersion != old.GetResourceVersion() {
			return conflict(r, name, fmt.Sprintf("Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in object meta: %s", *p.ResourceVersion, old.GetResourceVersion()))
		}
	}
	o := old.DeepCopyObject().(api.Object)
	propagate(o, opts.PropagationPolicy)
	var grace int64
	if pod, ok := o.(*corev1.Pod); ok {
		grace = podGrace(pod, opts.GracePeriodSeconds)
	}
	if ns, ok := o.(*corev1.Namespace); ok {
		ns.Status.Phase = corev1.NamespaceTerminating
	}
	if was := o.GetDeletionGracePeriodSeconds(); o.GetDeletionTimestamp() == nil || was != nil && grace < *was {
		at := c.time().Rfc3339Copy()
		at.Time = at.Add(seconds(grace))
		o.SetDeletionTimestamp(&at)
		o.SetDeletionGracePeriodSeconds(&grace)
		if o.GetGeneration() > 0 {
			o.SetGeneration(o.GetGeneration() + 1)
		}
	}
	if gone(o) {
		c.remove(r, o)
	} else {
		c.put(r, o)
	}
	c.logged(w, o)
	return nil
}

func (c *Client) Bind(_ context.Context, namespace, pod string, uid types.UID, node string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.row(&corev1.Pod{})
	w := Write{Verb: "bind", Resource: r.GVR.Resource, Namespace: namespace, Name: pod}
	if err := c.refuse(w, nil); err != nil {
		return err
	}
	old, err := c.get(r, namespace, pod)
	if err != nil {
		return err
	}
	p := old.DeepCopyObject().(*corev1.Pod)
	if uid != "" && uid != p.UID {
		return conflict(r, pod, fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, p.UID))
	}
	if p.Spec.NodeName != "" {
		return conflict(r, pod, fmt.Sprintf("pod %s is already assigned to node %q", pod, p.Spec.NodeName))
	}
	p.Spec.NodeName = node
	p.Status.Conditions = append(slices.DeleteFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled }),
		corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: c.time()})
	c.put(r, p)
	c.logged(w, p)
	return nil
}

func (c *Client) put(r *api.Resource, o api.Object) { c.change(r, o, false) }

func (c *Client) remove(r *api.Resource, o api.Object) { c.change(r, o, true) }

// change makes the next revision.
func (c *Client) change(r *api.Resource, o api.Object, deleted bool) {
	c.rev++
	o.SetResourceVersion(strconv.FormatInt(c.rev, 10))
	k := key(r, o.GetNamespace(), o.GetName())
	ch := change{row: r, rev: c.rev, object: o, old: c.kinds[r][k], kind: watch.Modified}
	switch {
	case deleted:
		ch.kind = watch.Deleted
		delete(c.kinds[r], k)
	case ch.old == nil:
		ch.kind = watch.Added
		if c.kinds[r] == nil {
			c.kinds[r] = map[types.NamespacedName]api.Object{}
		}
		fallthrough
	default:
		c.kinds[r][k] = o
	}
	if _, ok := o.(*corev1.Namespace); ok {
		if c.ended == nil {
			c.ended = map[string]bool{}
		}
		c.ended[o.GetName()] = deleted
	}
	c.history = append(c.history, ch)
	close(c.grown)
	c.grown = make(chan struct{})
}

func (c *Client) logged(w Write, o api.Object) {
	w.Name, w.Object = o.GetName(), o
	c.writes = append(c.writes, w)
}

func (c *Client) refuse(w Write, o api.Object) error {
	if c.Refuse == nil {
		return nil
	}
	return c.Refuse(w, o)
}

// terminating refuses new objects in a namespace that is going or gone, as admission does. A test
// need not have made its namespaces: one that never was is taken to be there.
func (c *Client) terminating(r *api.Resource, o api.Object) error {
	if !r.Namespaced {
		return nil
	}
	if c.ended[o.GetNamespace()] {
		return apierrors.NewNotFound(corev1.Resource("namespaces"), o.GetNamespace())
	}
	for nr, objects := range c.kinds {
		if nr.GVR.Resource != "namespaces" {
			continue
		}
		ns, ok := objects[types.NamespacedName{Name: o.GetNamespace()}]
		if !ok || ns.GetDeletionTimestamp() == nil {
			continue
		}
		err := apierrors.NewForbidden(r.GroupResource(), o.GetName(), fmt.Errorf("unable to create new content in namespace %s because it is being terminated", o.GetNamespace()))
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
			Type: corev1.NamespaceTerminatingCause, Message: "namespace " + o.GetNamespace() + " is being terminated", Field: "metadata.namespace",
		})
		return err
	}
	return nil
}

func (c *Client) uid() types.UID {
	c.serial++
	return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", c.serial))
}

// suffix is what a generateName is completed with; it counts, so tests can know it.
func (c *Client) suffix() string {
	c.serial++
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	b, n := []byte("bbbbb"), c.serial
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = letters[n%int64(len(letters))]
		n /= int64(len(letters))
	}
	return string(b)
}

func (c *Client) time() metav1.Time { return metav1.NewTime(c.Now()).Rfc3339Copy() }

func conflict(r *api.Resource, name, why string) error {
	return apierrors.NewConflict(r.GroupResource(), name, errors.New(why))
}
