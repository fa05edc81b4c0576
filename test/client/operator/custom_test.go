package operator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

var group = schema.GroupVersion{Group: "example.com", Version: "v1"}

// Garden is a custom resource as an operator's author would write it: so many beds
// are wanted, so many are there.
type Garden struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              GardenSpec   `json:"spec"`
	Status            GardenStatus `json:"status,omitempty"`
}

// GardenSpec is what is wanted.
type GardenSpec struct {
	Beds int    `json:"beds"`
	Soil string `json:"soil,omitempty"`
}

// GardenStatus is what is there.
type GardenStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Beds               int                `json:"beds"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// GardenList is a list of gardens.
type GardenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Garden `json:"items"`
}

// DeepCopyObject copies g.
func (g *Garden) DeepCopyObject() runtime.Object {
	out := *g
	out.ObjectMeta = *g.ObjectMeta.DeepCopy()
	out.Status.Conditions = append([]metav1.Condition(nil), g.Status.Conditions...)
	return &out
}

// DeepCopyObject copies l.
func (l *GardenList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = nil
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*Garden))
	}
	return &out
}

// gardener keeps a ConfigMap per bed and tells in the status how many there are.
type gardener struct{ client.Client }

func (g gardener) Reconcile(ctx context.Context, q ctrl.Request) (ctrl.Result, error) {
	var garden Garden
	if err := g.Get(ctx, q.NamespacedName, &garden); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !garden.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&garden, finalizer) {
			return ctrl.Result{}, g.Update(ctx, &garden)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&garden, finalizer) {
		if err := g.Update(ctx, &garden); err != nil {
			return ctrl.Result{}, err
		}
	}
	var beds corev1.ConfigMapList
	if err := g.List(ctx, &beds, client.InNamespace(q.Namespace), client.MatchingLabels{"garden": q.Name}); err != nil {
		return ctrl.Result{}, err
	}
	for i := range max(garden.Spec.Beds, len(beds.Items)) {
		bed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", q.Name, i), Namespace: q.Namespace}}
		if i >= garden.Spec.Beds {
			if err := g.Delete(ctx, bed); client.IgnoreNotFound(err) != nil {
				return ctrl.Result{}, err
			}
			continue
		}
		if _, err := controllerutil.CreateOrUpdate(ctx, g.Client, bed, func() error {
			bed.Labels = map[string]string{"garden": q.Name}
			bed.Data = map[string]string{"soil": garden.Spec.Soil}
			return controllerutil.SetControllerReference(&garden, bed, g.Scheme())
		}); err != nil {
			return ctrl.Result{}, err
		}
	}
	garden.Status.ObservedGeneration, garden.Status.Beds = garden.Generation, garden.Spec.Beds
	meta.SetStatusCondition(&garden.Status.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionTrue, Reason: "Dug", Message: fmt.Sprint(garden.Spec.Beds, " beds"), ObservedGeneration: garden.Generation,
	})
	return ctrl.Result{}, g.Status().Update(ctx, &garden)
}

// gardens is the definition, as controller-gen would write it.
func gardens() *unstructured.Unstructured {
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": properties}
	}
	integer, text := map[string]any{"type": "integer"}, map[string]any{"type": "string"}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "gardens.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced", "names": map[string]any{"plural": "gardens", "kind": "Garden"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": object(map[string]any{
					"spec": object(map[string]any{
						"beds": map[string]any{"type": "integer", "minimum": int64(0)},
						"soil": map[string]any{"type": "string", "default": "loam"},
					}),
					"status": object(map[string]any{
						"observedGeneration": integer, "beds": integer,
						"conditions": map[string]any{
							"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"type"},
							"items": map[string]any{
								"type": "object", "required": []any{"type", "status", "lastTransitionTime"},
								"properties": map[string]any{
									"type": text, "status": text, "reason": text, "message": text, "observedGeneration": integer,
									"lastTransitionTime": map[string]any{"type": "string", "format": "date-time"},
								},
							},
						},
					}),
				})},
			}},
		},
	}}
}

// An operator of a custom resource: it digs what is wanted, tells so in the status,
// undoes what others did, and survives a crash of the server.
func TestCustomResource(t *testing.T) {
	log.SetLogger(logr.Discard())
	s, err := instance.Start(t.TempDir())
	if errors.Is(err, instance.ErrNotBuilt) {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.Log())
		}
	})
	cfg, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	check(t, err)
	known := runtime.NewScheme()
	check(t, scheme.AddToScheme(known))
	known.AddKnownTypes(group, &Garden{}, &GardenList{})
	metav1.AddToGroupVersion(known, group)
	c, err := client.New(cfg, client.Options{Scheme: known})
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	check(t, c.Create(ctx, gardens()))
	eventually(t, "gardens are served", func() bool {
		err := c.List(ctx, &GardenList{})
		if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
			t.Fatal(err)
		}
		return err == nil
	})

	m, err := ctrl.NewManager(cfg, ctrl.Options{Scheme: known, Metrics: server.Options{BindAddress: "0"}})
	check(t, err)
	check(t, ctrl.NewControllerManagedBy(m).For(&Garden{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).Owns(&corev1.ConfigMap{}).Complete(gardener{m.GetClient()}))
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-ended) })

	g := &Garden{ObjectMeta: metav1.ObjectMeta{Name: "south", Namespace: "default"}, Spec: GardenSpec{Beds: 2}}
	check(t, c.Create(ctx, g))
	if g.Generation != 1 || g.Spec.Soil != "loam" {
		t.Errorf("created %+v", g)
	}
	tended := func(beds int) {
		t.Helper()
		eventually(t, fmt.Sprint(beds, " beds"), func() bool {
			check(t, c.Get(ctx, client.ObjectKeyFromObject(g), g))
			var l corev1.ConfigMapList
			check(t, c.List(ctx, &l, client.MatchingLabels{"garden": "south"}))
			return len(l.Items) == beds && g.Status.Beds == beds && g.Status.ObservedGeneration == g.Generation && meta.IsStatusConditionTrue(g.Status.Conditions, "Ready")
		})
	}
	tended(2)
	if g.Generation != 1 {
		t.Errorf("a status is no new generation: %d", g.Generation)
	}

	// What is wanted changes; the status cannot be written with it, nor the spec with the status.
	was := g.DeepCopyObject().(*Garden)
	g.Spec.Beds, g.Status.Beds = 3, 99
	check(t, c.Patch(ctx, g, client.MergeFrom(was)))
	tended(3)
	if g.Generation != 2 {
		t.Errorf("generation %d", g.Generation)
	}
	was = g.DeepCopyObject().(*Garden)
	g.Spec.Beds = 7
	g.Status.Conditions[0].Message = "looked at"
	check(t, c.Status().Patch(ctx, g, client.MergeFrom(was)))
	if g.Spec.Beds != 3 || g.Generation != 2 || g.Status.Conditions[0].Message != "looked at" {
		t.Errorf("after a patch of the status: %+v", g)
	}
	stale := was
	stale.Spec.Beds = 4
	if err := c.Update(ctx, stale); !apierrors.IsConflict(err) {
		t.Errorf("an update of what is old: %v", err)
	}
	g.Spec.Beds = -1
	if err := c.Update(ctx, g); !apierrors.IsInvalid(err) {
		t.Errorf("an update that the schema refuses: %v", err)
	}
	g.Spec.Beds = 3

	// What somebody takes away comes back; after a crash as well.
	bed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "south-1", Namespace: "default"}}
	check(t, c.Delete(ctx, bed))
	tended(3)
	s.Kill()
	check(t, s.Again())
	check(t, c.Get(ctx, client.ObjectKeyFromObject(g), g))
	was = g.DeepCopyObject().(*Garden)
	g.Spec.Beds = 1
	check(t, c.Patch(ctx, g, client.MergeFrom(was)))
	tended(1)

	// Gone, with what it owned.
	check(t, c.Delete(ctx, g))
	eventually(t, "the garden is gone", func() bool { return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(g), &Garden{})) })
	eventually(t, "its beds are gone", func() bool {
		var l corev1.ConfigMapList
		check(t, c.List(ctx, &l, client.MatchingLabels{"garden": "south"}))
		return len(l.Items) == 0
	})
}
