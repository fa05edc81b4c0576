package core

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestProfilesAreLinear: twice the containers with annotations cost twice as much, not four times.
func TestProfilesAreLinear(t *testing.T) {
	cost := func(n int) float64 {
		p := &corev1.Pod{}
		p.Annotations = map[string]string{}
		for i := range n {
			name := fmt.Sprintf("c%d", i)
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name})
			p.Annotations[appArmorContainer+name] = noProfile
			p.Annotations[seccompContainer+name] = noProfile
		}
		return testing.AllocsPerRun(3, func() {
			carryAppArmor(p)
			if errs := validateProfileAnnotations(p.Annotations, &p.Spec, annotationsPath); len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			validateProfilesMatch(p.Annotations, &p.Spec, specPath)
			validateAnnotationUpdate(p.Annotations, p.Annotations)
			var w warnings
			w.annotations(&p.ObjectMeta, &p.Spec, true, nil)
			w.carried(p)
		})
	}
	if once, twice := cost(2000), cost(4000); twice > 2.5*once {
		t.Errorf("%v allocations for 2000 containers, %v for 4000", once, twice)
	}
}
