package managedfields

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
)

func filler(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.5).NumElements(1, 3).MaxDepth(12).Funcs(
		func(q *resource.Quantity, c randfill.Continue) { *q = resource.MustParse(fmt.Sprint(c.Intn(3))) },
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(int64(c.Intn(3)), 0) },
		func(t *metav1.MicroTime, c randfill.Continue) { t.Time = time.Unix(int64(c.Intn(3)), 0) },
		func(s *intstr.IntOrString, c randfill.Continue) { *s = intstr.FromInt32(int32(c.Intn(3))) },
		func(r *runtime.RawExtension, c randfill.Continue) {
			r.Raw = []byte(fmt.Sprintf(`{"a":{"b":%d}}`, c.Intn(3)))
		},
		// Of these, one field or the other is set.
		func(j *apiextensionsv1.JSON, c randfill.Continue) { j.Raw = []byte(fmt.Sprint(c.Intn(3))) },
		func(o *apiextensionsv1.JSONSchemaPropsOrArray, c randfill.Continue) { c.Fill(&o.JSONSchemas) },
		func(o *apiextensionsv1.JSONSchemaPropsOrBool, c randfill.Continue) { o.Allows = c.Bool() },
		func(o *apiextensionsv1.JSONSchemaPropsOrStringArray, c randfill.Continue) { c.Fill(&o.Property) },
		func(s *string, c randfill.Continue) { *s = []string{"", "a", "b", "c\"d", "é"}[c.Intn(5)] },
		func(es *[]metav1.ManagedFieldsEntry, _ randfill.Continue) { *es = nil },
		func(f *metav1.FieldsV1, c randfill.Continue) { f.Raw = []byte("{}") },
	)
}

func rows(t *testing.T) []*api.Resource {
	var out []*api.Resource
	for _, r := range all.Rows {
		if !r.Virtual {
			out = append(out, r)
		}
	}
	if len(out) < 50 {
		t.Fatalf("only %d kinds", len(out))
	}
	return out
}

// sets are the entries without their times, with their fields in one form.
func sets(t *testing.T, o metav1.Object) string {
	t.Helper()
	var out []string
	for _, e := range o.GetManagedFields() {
		s, err := decode(e.FieldsV1.Raw)
		if err != nil {
			t.Fatalf("%s: %v", e.FieldsV1.Raw, err)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %s", e.Manager, e.Operation, e.APIVersion, e.Subresource, s.encode(nil, true)))
	}
	b, _ := json.MarshalIndent(out, "", " ")
	return string(b)
}

// TestUpdateAgreesWithTheLibrary creates and updates random objects of every kind, as several managers.
func TestUpdateAgreesWithTheLibrary(t *testing.T) {
	for _, r := range rows(t) {
		t.Run(r.GVK.Kind, func(t *testing.T) {
			var as Appliers
			k := Kind{GVK: r.GVK, New: func() runtime.Object { return r.New() }}
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range 12 {
				f := filler(int64(i))
				var ours, theirs api.Object
				for step := range 5 {
					next := r.New()
					f.Fill(next)
					if step > 0 && rng.IntN(2) == 0 {
						// A small change: most is as it was.
						next = ours.DeepCopyObject().(api.Object)
						next.SetLabels(map[string]string{"step": fmt.Sprint(step)})
						f.Fill(reflect.ValueOf(next).Elem().Field(reflect.ValueOf(next).Elem().NumField() - 1).Addr().Interface())
					}
					next.GetObjectKind().SetGroupVersionKind(r.GVK)
					next.SetManagedFields(nil)
					manager := []string{"alice", "bob"}[rng.IntN(2)]
					w := Write{Manager: manager, APIVersion: r.GVK.GroupVersion().String(), Time: time.Unix(100+int64(step), 0)}
					ap, err := as.of(k, "")
					if err != nil {
						t.Fatal(err)
					}
					var live runtime.Object = theirs
					if theirs == nil {
						live, _ = (&converter{kind: k}).New(r.GVK)
					}
					out, err := ap.fields.Update(live.DeepCopyObject(), next.DeepCopyObject(), manager)
					if err != nil {
						// What the library cannot key, we need not either.
						t.Logf("the library: %v", err)
						break
					}
					mine := next.DeepCopyObject().(api.Object)
					before := ""
					if ours != nil {
						before = sets(t, ours)
						Update(mine, ours, w)
					} else {
						Update(mine, nil, w)
					}
					if ours != nil && sets(t, ours) != before {
						t.Fatal("the old object was changed")
					}
					theirs, ours = out.(api.Object), mine
					// The library stamps its own time, so the order of entries is by ours.
					copyTimes(theirs, ours)
					if a, b := sets(t, ours), sets(t, theirs); a != b {
						j, _ := json.Marshal(next)
						t.Fatalf("seed %d step %d as %s\nours   %s\ntheirs %s\nobject %s", i, step, manager, a, b, j)
					}
				}
			}
		})
	}
}

func copyTimes(to, from metav1.Object) {
	es := to.GetManagedFields()
	for i := range es {
		for _, f := range from.GetManagedFields() {
			if f.Manager == es[i].Manager && f.Subresource == es[i].Subresource {
				es[i].Time = f.Time
			}
		}
	}
	sortEntries(es)
	to.SetManagedFields(es)
}
