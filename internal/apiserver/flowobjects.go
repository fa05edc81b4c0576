package apiserver

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// RunFlowControl keeps the objects of flow control as they must be until the
// context ends, and lets changes of them count for those who wait. It sleeps until one
// of the objects changes.
func (s *Server) RunFlowControl(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	k := flowKeeper{s: s, c: local{s, auth.System, "api-priority-and-fairness-config-consumer-v1"}}
	changed := make(chan struct{}, 1)
	for _, r := range []*api.Resource{all.For[*flowcontrolv1.FlowSchema](), all.For[*flowcontrolv1.PriorityLevelConfiguration]()} {
		w, err := k.c.Watch(ctx, r, "", client.Selector{}, -1)
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer w.Close()
			for {
				if _, err := w.Next(ctx); err != nil {
					cancel(err)
					return
				}
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
	}
	for {
		select {
		case <-changed:
			s.flowConfig()
			if err := k.keep(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// flowKeeper makes the objects what they must be. What it changes comes back to it as
// a change, until nothing is left to do.
type flowKeeper struct {
	s *Server
	c client.Client
}

func (k *flowKeeper) keep(ctx context.Context) error {
	for _, want := range flow.Levels() {
		if err := keepOne(ctx, k.c, want, levelLike, func(into, from *flowcontrolv1.PriorityLevelConfiguration) { into.Spec = from.Spec }); err != nil {
			return err
		}
	}
	for _, want := range flow.Schemas() {
		like := func(have, want *flowcontrolv1.FlowSchema) bool {
			return equality.Semantic.DeepEqual(have.Spec, want.Spec)
		}
		if err := keepOne(ctx, k.c, want, like, func(into, from *flowcontrolv1.FlowSchema) { into.Spec = from.Spec }); err != nil {
			return err
		}
	}
	if err := dropUnknown(ctx, k.c, flow.Schemas()); err != nil {
		return err
	}
	if err := dropUnknown(ctx, k.c, flow.Levels()); err != nil {
		return err
	}
	return k.tellDangling(ctx)
}

// levelLike compares levels. How many seats the exempt one may lend is for administrators to say.
func levelLike(have, want *flowcontrolv1.PriorityLevelConfiguration) bool {
	if want.Name == flowcontrolv1.PriorityLevelConfigurationNameExempt && have.Spec.Exempt != nil {
		want = want.DeepCopy()
		want.Spec.Exempt = have.Spec.Exempt
	}
	return equality.Semantic.DeepEqual(have.Spec, want.Spec)
}

// keepOne makes the object if there is none, and puts its spec right if the server is
// to: always if it cannot do without the object, else if the annotation says so. Where
// it does not say, an object whose spec nobody ever changed is the server's.
func keepOne[T api.Object](ctx context.Context, c client.Client, want T, like func(have, want T) bool, set func(into, from T)) error {
	have, err := client.Get[T](ctx, c, "", want.GetName())
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, c, want)
		return notMeanwhile(err)
	}
	if err != nil {
		return err
	}
	text := have.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]
	ours, err := strconv.ParseBool(text)
	if err != nil {
		ours = have.GetGeneration() == 1
	}
	ours = ours || flow.Mandatory(want.GetName())
	if say := strconv.FormatBool(ours); text == say && (!ours || like(have, want)) {
		return nil
	}
	next := have.DeepCopyObject().(T)
	meta := next.GetAnnotations()
	if meta == nil {
		meta = map[string]string{}
	}
	meta[flowcontrolv1.AutoUpdateAnnotationKey] = strconv.FormatBool(ours)
	next.SetAnnotations(meta)
	if ours && !like(have, want) {
		set(next, want)
	}
	_, err = client.Update(ctx, c, next)
	return notMeanwhile(err)
}

// notMeanwhile forgives that somebody was faster: their change comes here next.
func notMeanwhile(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// dropUnknown deletes what says that it is the server's, and is not: a suggestion of another release.
func dropUnknown[T api.Object](ctx context.Context, c client.Client, known []T) error {
	names := map[string]bool{}
	for _, o := range known {
		names[o.GetName()] = true
	}
	have, err := client.List[T](ctx, c, "", nil)
	if err != nil {
		return err
	}
	for _, o := range have {
		if ours, _ := strconv.ParseBool(o.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]); !ours || names[o.GetName()] || o.GetDeletionTimestamp() != nil {
			continue
		}
		uid, rv := o.GetUID(), o.GetResourceVersion()
		err := client.Delete[T](ctx, c, "", o.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &rv}})
		if err := notMeanwhile(err); err != nil {
			return err
		}
	}
	return nil
}

// tellDangling says in each schema's status whether the level that it leads to is there.
func (k *flowKeeper) tellDangling(ctx context.Context) error {
	schemas, err := client.List[*flowcontrolv1.FlowSchema](ctx, k.c, "", nil)
	if err != nil {
		return err
	}
	for _, o := range schemas {
		name := o.Spec.PriorityLevelConfiguration.Name
		_, err := client.Get[*flowcontrolv1.PriorityLevelConfiguration](ctx, k.c, "", name)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		want := flowcontrolv1.FlowSchemaCondition{Type: flowcontrolv1.FlowSchemaConditionDangling, Status: flowcontrolv1.ConditionFalse, Reason: "Found",
			Message: fmt.Sprintf("This FlowSchema references the PriorityLevelConfiguration object named %q and it exists", name)}
		if err != nil {
			want.Status, want.Reason = flowcontrolv1.ConditionTrue, "NotFound"
			want.Message = fmt.Sprintf("This FlowSchema references the PriorityLevelConfiguration object named %q but there is no such object", name)
		}
		if err := notMeanwhile(k.setCondition(ctx, o, want)); err != nil {
			return err
		}
	}
	return nil
}

func (k *flowKeeper) setCondition(ctx context.Context, o *flowcontrolv1.FlowSchema, want flowcontrolv1.FlowSchemaCondition) error {
	at := -1
	for i, c := range o.Status.Conditions {
		if c.Type == want.Type {
			at = i
		}
	}
	want.LastTransitionTime = metav1.NewTime(k.s.now())
	next := o.DeepCopy()
	if at < 0 {
		next.Status.Conditions = append(next.Status.Conditions, want)
	} else {
		have := o.Status.Conditions[at]
		if have.Status == want.Status {
			want.LastTransitionTime = have.LastTransitionTime
		}
		if equality.Semantic.DeepEqual(have, want) {
			return nil
		}
		next.Status.Conditions[at] = want
	}
	_, err := client.UpdateStatus(ctx, k.c, next)
	return err
}
