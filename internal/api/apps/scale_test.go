package apps

import (
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestScaleForms shows a scale in the forms of old and reads it back.
func TestScaleForms(t *testing.T) {
	for selector, twice := range map[string]bool{"a=b,c=d": true, "a in (b),!c": false, "a==": true, "a in": false} {
		s := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "n", UID: "1", ResourceVersion: "7"},
			Spec: autoscalingv1.ScaleSpec{Replicas: 3}, Status: autoscalingv1.ScaleStatus{Replicas: 2, Selector: selector}}
		for _, form := range []*api.ScaleForm{scaleExtensions, scaleV1beta1, scaleV1beta2} {
			shown := form.Show(s)
			if shown.GetObjectKind().GroupVersionKind() != form.Kind {
				t.Errorf("%s is shown as %s", form.Kind, shown.GetObjectKind().GroupVersionKind())
			}
			text, err := yaml.Marshal(shown)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "\n  selector:\n") != twice || !strings.Contains(string(text), "targetSelector: ") {
				t.Errorf("%s with %s:\n%s", form.Kind, selector, text)
			}
			back := form.New()
			if err := yaml.UnmarshalStrict(text, back); err != nil {
				t.Fatal(err)
			}
			if have := form.Read(back); !equality.Semantic.DeepEqual(have, s) {
				t.Errorf("%s: %v became %v", form.Kind, s, have)
			}
		}
	}
}

func TestRollback(t *testing.T) {
	r := &extensionsv1beta1.DeploymentRollback{Name: "a", UpdatedAnnotations: map[string]string{"x": "new", "y": "z"}, RollbackTo: extensionsv1beta1.RollbackConfig{Revision: 4}}
	if errs := ValidateRollback(r); len(errs) > 0 {
		t.Error(errs)
	}
	was := map[string]string{"x": "old", "kept": "a"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: was}}
	RollBack(d, r)
	if want := map[string]string{"x": "new", "y": "z", "kept": "a", annotationRollback: "4"}; !maps.Equal(d.Annotations, want) || len(was) != 2 {
		t.Errorf("%v of %v", d.Annotations, was)
	}
	bad := &extensionsv1beta1.DeploymentRollback{UpdatedAnnotations: map[string]string{"a b": ""}, RollbackTo: extensionsv1beta1.RollbackConfig{Revision: -1}}
	text := ValidateRollback(bad).ToAggregate().Error()
	for _, want := range []string{`updatedAnnotations: Invalid value: "a b"`, "name: Required value: name is required", "rollback.version: Invalid value: -1: must be greater than or equal to 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}
