package all

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// TestShown: the first line is # and a version; then an object as it is stored, and how that version shows it.
func TestShown(t *testing.T) {
	golden(t, "shown", func(t *testing.T, in string) string {
		head, body, _ := strings.Cut(in, "\n")
		r, o := read(t, body)
		fillIn(t, r, o)
		gv, err := schema.ParseGroupVersion(strings.TrimPrefix(head, "# "))
		if err != nil {
			t.Fatal(err)
		}
		v := VersionByGVR(gv.WithResource(r.GVR.Resource))
		if v == nil {
			t.Fatalf("%s is not served in %s", r.GVK.Kind, gv)
		}
		shown, err := v.Show(o)
		if err != nil {
			return "cannot be shown: " + err.Error()
		}
		text, err := yaml.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	})
}
