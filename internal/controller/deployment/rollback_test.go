package deployment

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

// TestRollback: what an old client asks for is done once, and told.
func TestRollback(t *testing.T) {
	to := func(revision string) option {
		return func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{appsv1.DeprecatedRollbackTo: revision, "cause": "new", revisionAnnotation: "3"}
		}
	}
	for name, c := range map[string]struct {
		revision, image, cause, event string
		alone                         bool
	}{
		"to a revision":     {"1", "v1", "old", `DeploymentRollback Rolled back deployment "web" to revision 1`, false},
		"to the last one":   {"0", "v2", "old", `DeploymentRollback Rolled back deployment "web" to revision 2`, false},
		"to where it is":    {"3", "v3", "new", `DeploymentRollbackTemplateUnchanged The rollback revision contains the same template as current deployment "web"`, false},
		"to nowhere":        {"7", "v3", "new", "DeploymentRollbackRevisionNotFound Unable to find the revision to rollback to.", false},
		"without a last":    {"0", "v3", "new", "DeploymentRollbackRevisionNotFound Unable to find last revision.", true},
		"that is no number": {"x", "v3", "new", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(web(1, "v3", to(c.revision)))
			sets := []*appsv1.ReplicaSet{rs("v1", 1, 0, 0), rs("v2", 2, 0, 0), rs("v3", 3, 1, 1)}
			if c.alone {
				sets = sets[2:]
			}
			for _, r := range sets {
				r.Annotations["cause"] = "old"
				k.Add(sized(r, "1", "2"))
			}
			did, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start)
			if err != nil {
				t.Fatal(err)
			}
			d, err := client.Get[*appsv1.Deployment](t.Context(), k, "a", "web")
			if err != nil {
				t.Fatal(err)
			}
			_, still := d.Annotations[appsv1.DeprecatedRollbackTo]
			if still != (c.event == "") {
				t.Errorf("did %q, left %v", did, d.Annotations)
			}
			if d.Spec.Template.Spec.Containers[0].Image != c.image || d.Annotations["cause"] != c.cause || d.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "" {
				t.Errorf("is now %v, %v", d.Spec.Template, d.Annotations)
			}
			told := did[len(did)-1]
			if c.event != "" && !strings.Contains(told, c.event) {
				t.Errorf("told %q, not %q", told, c.event)
			}
		})
	}
}
