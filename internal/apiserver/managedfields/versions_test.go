package managedfields

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestVersionsAgreeWithTheLibrary creates and updates random objects through all versions of their kinds, as several managers.
func TestVersionsAgreeWithTheLibrary(t *testing.T) {
	for _, r := range rows(t) {
		if len(r.Versions) == 0 {
			continue
		}
		t.Run(r.GVK.Kind, func(t *testing.T) {
			var as Appliers
			rng := rand.New(rand.NewPCG(3, 4))
			compared := 0
			for seed := range 10 {
				f := storable(int64(seed))
				var ours, theirs api.Object
				for step := range 6 {
					next := r.New()
					f.Fill(next)
					if step > 0 && rng.IntN(3) > 0 {
						next = ours.DeepCopyObject().(api.Object)
						next.SetLabels(map[string]string{"step": fmt.Sprint(step)})
						f.Fill(reflect.ValueOf(next).Elem().Field(2).Addr().Interface())
					}
					if r.Default != nil {
						r.Default(next)
					}
					next.GetObjectKind().SetGroupVersionKind(r.GVK)
					next.SetManagedFields(nil)
					k := Kind{GVK: r.GVK, New: func() runtime.Object { return r.New() }, Versions: r.Versions}
					gvk := r.GVK
					if i := rng.IntN(len(r.Versions) + 1); i > 0 {
						k.Version, gvk = r.Versions[i-1], r.Versions[i-1].GVK
					}
					manager := []string{"alice", "bob"}[rng.IntN(2)]
					w := Write{Manager: manager, APIVersion: gvk.GroupVersion().String(), Time: time.Unix(100+int64(step), 0), Versions: r.Versions}
					ap, err := as.of(k, "")
					if err != nil {
						t.Fatal(err)
					}
					if theirs == nil {
						empty, _ := (&converter{kind: k}).New(r.GVK)
						theirs = empty.(api.Object)
					}
					out, err := ap.fields.Update(theirs.DeepCopyObject(), next.DeepCopyObject(), manager)
					if err != nil {
						t.Logf("the library: %v", err) // what it cannot key, we need not either
						break
					}
					mine := next.DeepCopyObject().(api.Object)
					if ours != nil {
						Update(mine, ours, w)
					} else {
						Update(mine, nil, w)
					}
					theirs, ours = out.(api.Object), mine
					copyTimesOfVersions(theirs, ours)
					compared++
					if a, b := sets(t, ours), sets(t, theirs); a != b {
						j, _ := json.Marshal(next)
						t.Fatalf("seed %d step %d as %s in %s\nours   %s\ntheirs %s\nobject %s", seed, step, manager, gvk.GroupVersion(), a, b, j)
					}
				}
			}
			if compared < 10 {
				t.Errorf("only %d comparisons", compared)
			}
		})
	}
}

// storable makes objects that no version shows as less than they are.
func storable(seed int64) *randfill.Filler {
	return filler(seed).Funcs(func(s *resourcev1.ResourceSliceSpec, c randfill.Continue) {
		c.FillNoCustom(s)
		if s.AllNodes != nil && !*s.AllNodes {
			s.AllNodes = nil
		}
	})
}

func copyTimesOfVersions(to, from metav1.Object) {
	es := to.GetManagedFields()
	for i := range es {
		for _, f := range from.GetManagedFields() {
			if f.Manager == es[i].Manager && f.APIVersion == es[i].APIVersion {
				es[i].Time = f.Time
			}
		}
	}
	sortEntries(es)
	to.SetManagedFields(es)
}
