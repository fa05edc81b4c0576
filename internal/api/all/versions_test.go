package all

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestVersionsLoseNothing shows random objects in every other version and reads them back.
func TestVersionsLoseNothing(t *testing.T) {
	n := 0
	for _, r := range Rows {
		for _, v := range r.Versions {
			n++
			t.Run(v.GVR.GroupVersion().String()+" "+r.GVK.Kind, func(t *testing.T) {
				if VersionByGVR(v.GVR) != v || ByGVK(v.GVK) != r {
					t.Error("is not found")
				}
				for seed := range int64(20) {
					f := randfill.NewWithSeed(seed).NilChance(0.4).NumElements(1, 3).MaxDepth(14).Funcs(
						func(q *resource.Quantity, c randfill.Continue) { *q = resource.MustParse(fmt.Sprint(c.Intn(3))) },
						func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(int64(c.Intn(3)+1), 0) },
						func(t *metav1.MicroTime, c randfill.Continue) {
							*t = metav1.MicroTime{Time: metav1.Unix(int64(c.Intn(3)+1), 0).Time}
						},
						func(s *intstr.IntOrString, c randfill.Continue) { *s = intstr.FromInt32(int32(c.Intn(3) + 1)) },
						func(r *runtime.RawExtension, c randfill.Continue) { r.Raw = []byte(fmt.Sprintf(`{"a":%d}`, c.Intn(3))) },
						func(f *metav1.FieldsV1, c randfill.Continue) { f.Raw = []byte("{}") },
						func(m *metav1.TypeMeta, c randfill.Continue) {},
						fillMetric, fillCurrent, fillSlice,
						// A port has a number or a name, a path has a type.
						func(p *networkingv1.ServiceBackendPort, c randfill.Continue) { p.Number = int32(c.Intn(3) + 1) },
						func(p *networkingv1.HTTPIngressPath, c randfill.Continue) {
							c.FillNoCustom(p)
							t := networkingv1.PathTypeExact
							p.PathType = &t
						},
					)
					want := r.New()
					f.Fill(want)
					want.GetObjectKind().SetGroupVersionKind(r.GVK)
					if r.Default != nil {
						r.Default(want)
					}
					before := want.DeepCopyObject()
					shown, err := v.Show(want)
					if err != nil {
						t.Fatal(err)
					}
					if shown.GetObjectKind().GroupVersionKind() != v.GVK {
						t.Errorf("shown as %s", shown.GetObjectKind().GroupVersionKind())
					}
					// What was shown is the reader's own.
					shown = shown.DeepCopyObject().(api.Object)
					have, err := v.Convert(shown)
					if err != nil {
						t.Fatal(err)
					}
					if r.Default != nil {
						r.Default(have)
					}
					if !equality.Semantic.DeepEqual(want, before) {
						t.Fatal("the stored object was changed")
					}
					if !equality.Semantic.DeepEqual(have, want) {
						t.Fatalf("seed %d:\n%s", seed, cmp.Diff(want, have))
					}
				}
			})
		}
	}
	if n < 20 {
		t.Errorf("only %d versions", n)
	}
}
