package all

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestVersionsKeepWhatIsStored takes the manifests that other tests find good and reads
// and writes them back in every version, with its defaults: nothing may have changed.
func TestVersionsKeepWhatIsStored(t *testing.T) {
	seen := map[string]bool{}
	for _, text := range goodManifests(t) {
		var m metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		row := ByGVK(schema.FromAPIVersionAndKind(m.APIVersion, m.Kind))
		if row == nil || len(row.Versions) == 0 || row.GVK.GroupVersion().String() != m.APIVersion {
			continue
		}
		r, stored := read(t, text)
		r.Prepare(stored)
		if r.Default != nil {
			r.Default(stored)
		}
		stored.GetObjectKind().SetGroupVersionKind(r.GVK)
		for _, v := range r.Versions {
			seen[v.GVK.String()] = true
			shown, err := v.Show(stored)
			if err != nil {
				t.Fatal(err)
			}
			back, err := v.Read(shown.DeepCopyObject().(api.Object))
			if err != nil {
				t.Fatal(err)
			}
			if r.Default != nil {
				r.Default(back)
			}
			want := stored.DeepCopyObject().(api.Object)
			// compat: the oldest versions label what has no labels, whenever it is written.
			if len(want.GetLabels()) == 0 {
				want.SetLabels(back.GetLabels())
			}
			if !equality.Semantic.DeepEqual(want, back) {
				t.Errorf("%s\nin %s:\n%s", text, v.GVK, cmp.Diff(want, back))
			}
		}
	}
	for _, r := range Rows {
		for _, v := range r.Versions {
			if !seen[v.GVK.String()] {
				t.Logf("no manifest of %s", v.GVK)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d versions were seen", len(seen))
	}
}

// goodManifests are those of the corpus of manifests that are accepted as they stand.
func goodManifests(t *testing.T) (out []string) {
	files, err := filepath.Glob("../../../test/manifest/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no manifests", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "\n=== ")[1:] {
			_, body, _ := strings.Cut(part, "\n")
			body, outcome, _ := strings.Cut(body, "\n=> ")
			if strings.HasPrefix(body, "apiVersion:") && strings.HasPrefix(outcome, "201") && !strings.Contains(body, "{{") {
				out = append(out, body)
			}
		}
	}
	return out
}
