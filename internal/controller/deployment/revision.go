package deployment

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	historyLength      = 2000 // characters of the history annotation
)

// ownAnnotations are those that a ReplicaSet does not take from its Deployment.
var ownAnnotations = map[string]bool{
	corev1.LastAppliedConfigAnnotation: true, revisionAnnotation: true, historyAnnotation: true,
	desiredAnnotation: true, maxAnnotation: true, appsv1.DeprecatedRollbackTo: true,
}

// sameTemplate compares pod templates but for the hash label.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	unhashed := func(t *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
		c := *t
		c.Labels = maps.Clone(t.Labels)
		delete(c.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		return &c
	}
	return equality.Semantic.DeepEqual(unhashed(a), unhashed(b))
}

// templateHash names a template. It need not be the same for ever: a ReplicaSet
// is found by comparing templates, never by its name.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) (string, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	h := fnv.New32a()
	h.Write(text)
	if collisions != nil {
		fmt.Fprint(h, *collisions)
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10)), nil
}

// ensureNew finds the ReplicaSet of the present template, or makes one.
func (r *rollout) ensureNew() error {
	if r.news != nil {
		r.reviseNew()
		return nil
	}
	hash, err := templateHash(&r.d.Spec.Template, r.d.Status.CollisionCount)
	if err != nil {
		return err
	}
	labelled := func(m map[string]string) map[string]string {
		c := map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: hash}
		for k, v := range m {
			if k != appsv1.DefaultDeploymentUniqueLabelKey {
				c[k] = v
			}
		}
		return c
	}
	selector := r.d.Spec.Selector.DeepCopy()
	selector.MatchLabels = labelled(selector.MatchLabels)
	template := *r.d.Spec.Template.DeepCopy()
	template.Labels = labelled(template.Labels)
	none := int32(0)
	r.news = &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.d.Namespace, Name: r.d.Name + "-" + hash, Labels: maps.Clone(template.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(r.d, all.For[*appsv1.Deployment]().GVK)},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &none, MinReadySeconds: r.d.Spec.MinReadySeconds, Selector: selector, Template: template},
	}
	r.create = true
	r.annotateNew()
	r.annotateSize(r.news)
	r.scaleTo(r.news, r.newSize())
	if hasDeadline(r.d) {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", r.news.Name))
	}
	return nil
}

// creation is the write of a new ReplicaSet.
func (r *rollout) creation() controller.Action {
	rs := r.news
	return controller.Action{Create: rs,
		Then: func(api.Object) []controller.Action { return r.told(rs.Name) },
		Else: func(err error) []controller.Action {
			c := r.before.DeepCopy()
			switch {
			case errors.IsAlreadyExists(err):
				// The name is taken by another template (or another owner): the next hash
				// comes out different. The write wakes the Deployment again.
				n := int32(0)
				if c.Status.CollisionCount != nil {
					n = *c.Status.CollisionCount
				}
				n++
				c.Status.CollisionCount = &n
				return []controller.Action{{UpdateStatus: c}, {Fail: err}}
			case errors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
				return []controller.Action{{Fail: err}}
			}
			message := fmt.Sprintf("Failed to create new replica set %q: %v", rs.Name, err)
			do := []controller.Action{{Event: &controller.Event{About: r.before, Type: corev1.EventTypeWarning, Reason: "ReplicaSetCreateError", Message: message}}}
			if hasDeadline(r.d) {
				r.status = *r.before.Status.DeepCopy()
				r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ReplicaSetCreateError", message)
				if !equality.Semantic.DeepEqual(r.status, r.before.Status) {
					c.Status = r.status
					do = append(do, controller.Action{UpdateStatus: c})
				}
			}
			return append(do, controller.Action{Fail: err})
		},
	}
}

// reviseNew gives the new ReplicaSet, if there is one, the highest revision and
// the Deployment's annotations. An old ReplicaSet whose template is wanted again
// becomes the new one that way: that is a rollback.
func (r *rollout) reviseNew() {
	if r.news == nil {
		return
	}
	r.annotateNew()
	r.news.Spec.MinReadySeconds = r.d.Spec.MinReadySeconds
	if hasDeadline(r.d) && condition(&r.status, appsv1.DeploymentProgressing) == nil {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "FoundNewReplicaSet", fmt.Sprintf("Found new replica set %q", r.news.Name))
	}
}

func (r *rollout) annotateNew() {
	rs := r.news
	for k, v := range r.d.Annotations {
		if !ownAnnotations[k] {
			annotate(rs, k, v)
		}
	}
	old, has := rs.Annotations[revisionAnnotation]
	was, err := strconv.ParseInt(old, 10, 64)
	if err != nil && has && old != "" {
		return // not ours to overwrite
	}
	next := r.lastRevision() + 1
	if was < next {
		annotate(rs, revisionAnnotation, strconv.FormatInt(next, 10))
		if has && old != "" {
			annotate(rs, historyAnnotation, appendHistory(rs.Annotations[historyAnnotation], old))
		}
	}
	if r.d.Annotations[revisionAnnotation] != rs.Annotations[revisionAnnotation] {
		if r.d.Annotations == nil {
			r.d.Annotations = map[string]string{}
		}
		r.d.Annotations[revisionAnnotation] = rs.Annotations[revisionAnnotation]
	}
}

func (r *rollout) lastRevision() (n int64) {
	for _, rs := range r.olds {
		n = max(n, revision(rs))
	}
	return n
}

func revision(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// appendHistory adds a revision and forgets the oldest ones when the text gets long.
func appendHistory(history, old string) string {
	if history == "" {
		return old
	}
	history += "," + old
	for len(history) > historyLength {
		_, rest, ok := strings.Cut(history, ",")
		if !ok {
			break
		}
		history = rest
	}
	return history
}

// cleanUp removes old ReplicaSets beyond the history that is kept.
func (r *rollout) cleanUp() {
	limit := r.d.Spec.RevisionHistoryLimit
	if limit == nil || *limit == math.MaxInt32 {
		return
	}
	alive := slices.DeleteFunc(slices.Clone(r.olds), func(rs *appsv1.ReplicaSet) bool { return rs.DeletionTimestamp != nil })
	slices.SortStableFunc(alive, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revision(a), revision(b)) })
	for _, rs := range alive[:max(0, len(alive)-int(*limit))] {
		// One that has pods, or whose number of pods is not known yet, stays.
		if rs.Status.Replicas == 0 && replicas(rs) == 0 && rs.Generation <= rs.Status.ObservedGeneration {
			r.remove = append(r.remove, rs)
		}
	}
}
