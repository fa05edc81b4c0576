package all

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TestVersion: an object of a version that is not the stored one, and what is stored; after
// ~~~ what replaces it. All errors are told, the version's own and those of the kind.
func TestVersion(t *testing.T) {
	golden(t, "version", func(t *testing.T, in string) string {
		first, second, update := strings.Cut(in, "\n~~~\n")
		v, o := readVersion(t, first)
		r := v.Resource
		if !update {
			r.Prepare(o)
			fillIn(t, r, o)
			errs := validation.ValidateObjectMetaAccessor(o, r.Namespaced, validation.ValidateNameFunc(r.Name), field.NewPath("metadata"))
			if r.Validate != nil {
				errs = append(errs, r.Validate(o)...)
			}
			if errs = v.Judge(errs, o, nil); len(errs) > 0 {
				return describe(errs)
			}
			return show(t, o)
		}
		_, next := readVersion(t, second)
		fillIn(t, r, o)
		r.PrepareUpdate(next, o)
		fillIn(t, r, next)
		var errs field.ErrorList
		if r.ValidateUpdate != nil {
			errs = r.ValidateUpdate(next, o)
		}
		if errs = v.Judge(errs, next, o); len(errs) > 0 {
			return describe(errs)
		}
		return show(t, next)
	})
}

func readVersion(t *testing.T, text string) (*api.Version, api.Object) {
	t.Helper()
	var m metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	gvk := schema.FromAPIVersionAndKind(m.APIVersion, m.Kind)
	r := ByGVK(gvk)
	if r == nil {
		t.Fatalf("no row for %v", m)
	}
	v := VersionByGVR(gvk.GroupVersion().WithResource(r.GVR.Resource))
	if v == nil {
		t.Fatalf("%v is stored as it is", m)
	}
	given := v.New()
	if err := yaml.UnmarshalStrict([]byte(text), given); err != nil {
		t.Fatal(err)
	}
	o, err := v.Read(given)
	if err != nil {
		t.Fatal(err)
	}
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	if r.Namespaced && o.GetNamespace() == "" {
		o.SetNamespace("default")
	}
	return v, o
}

func show(t *testing.T, o api.Object) string {
	t.Helper()
	out, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestStatus: an object and, after ~~~, what a request about its status makes of it.
func TestStatus(t *testing.T) {
	golden(t, "status", func(t *testing.T, in string) string {
		first, second, _ := strings.Cut(in, "\n~~~\n")
		r, old := read(t, first)
		fillIn(t, r, old)
		_, given := read(t, second)
		fillIn(t, r, given)
		next := r.Status.Over(old, given)
		if r.Status.Prepare != nil {
			r.Status.Prepare(next, old)
		}
		if r.Status.Validate != nil {
			if errs := r.Status.Validate(next, old); len(errs) > 0 {
				return describe(errs)
			}
		}
		if _, status, ok := strings.Cut(show(t, next), "\nstatus:"); ok {
			return "status:" + status
		}
		return "accepted"
	})
}

// TestSubresource: the first line is # and the subresource; then an object and, after
// ~~~, what a request about that part of it makes of it.
func TestSubresource(t *testing.T) {
	golden(t, "subresource", func(t *testing.T, in string) string {
		head, body, _ := strings.Cut(in, "\n")
		first, second, _ := strings.Cut(body, "\n~~~\n")
		r, old := read(t, first)
		fillIn(t, r, old)
		_, next := read(t, second)
		fillIn(t, r, next)
		for _, s := range r.Subresources {
			if s.Name != strings.TrimPrefix(head, "# ") || s.Validate == nil {
				continue
			}
			if errs := s.Validate(next, old); len(errs) > 0 {
				return describe(errs)
			}
			return "accepted"
		}
		t.Fatalf("%s: nothing is checked", head)
		return ""
	})
}

// TestWarn: a new object, or one and what replaces it, and what its writer is warned of.
func TestWarn(t *testing.T) {
	golden(t, "warn", func(t *testing.T, in string) string {
		first, second, update := strings.Cut(in, "\n~~~\n")
		r, o := read(t, first)
		warnings := []string{}
		if update {
			_, next := read(t, second)
			fillIn(t, r, o)
			fillIn(t, r, next)
			warnings = r.Warn(next, o)
		} else {
			fillIn(t, r, o)
			warnings = r.Warn(o, nil)
		}
		slices.Sort(warnings)
		return strings.Join(warnings, "\n")
	})
}

// TestRead: an object and what selectors, indexes, scaling and deletion take from it.
func TestRead(t *testing.T) {
	golden(t, "read", func(t *testing.T, in string) string {
		r, o := read(t, in)
		fillIn(t, r, o)
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(r.Fields)) {
			if v := r.Fields[k](o); v != "" {
				fmt.Fprintf(&b, "%s = %s\n", k, v)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(r.Indexes)) {
			if v := r.Indexes[k](o); len(v) > 0 {
				fmt.Fprintf(&b, "by %s: %s\n", k, strings.Join(v, " "))
			}
		}
		if s := r.Scale; s != nil {
			fmt.Fprintf(&b, "replicas: %d of %d, selector %q\n", s.Observed(o), s.Replicas(o), s.Selector(o))
			s.SetReplicas(o, s.Replicas(o)+1)
			fmt.Fprintf(&b, "one more: %d\n", s.Replicas(o))
		}
		if r.Graceful != nil {
			fmt.Fprintf(&b, "deleted after %d s\n", r.Graceful(o))
		}
		return b.String()
	})
}
