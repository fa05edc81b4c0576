package all

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// The files under testdata are blocks: what is given, a line with =>, what comes
// out. Blocks are separated by lines of ----.

// TestCreate: a new object becomes one with its defaults, or a list of errors.
func TestCreate(t *testing.T) { golden(t, "create", create) }

// TestUpdate: an object and, after ~~~, what replaces it.
func TestUpdate(t *testing.T) { golden(t, "update", update) }

// TestTable: an object and how it is printed; the time is 2000-01-01T00:00:00Z.
func TestTable(t *testing.T) {
	golden(t, "table", func(t *testing.T, in string) (out string) {
		synctest.Test(t, func(t *testing.T) { out = table(t, in) })
		return out
	})
}

func golden(t *testing.T, dir string, run func(*testing.T, string) string) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for i, block := range strings.Split(string(data), "\n----\n") {
			given, want, _ := strings.Cut(block, "\n=>\n")
			given, want = strings.Trim(given, "\n"), strings.Trim(want, "\n")
			kept := want // unless the block is run
			t.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(file), ".txt"), i), func(t *testing.T) {
				got := strings.Trim(run(t, given), "\n")
				if got != want && !*rewrite {
					t.Errorf("given\n%s\ngot\n%s\nwant\n%s", given, got, want)
				}
				kept = got
			})
			out = append(out, given+"\n=>\n"+kept)
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(strings.Join(out, "\n----\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// read decodes an object and does to it what the server does to new ones before validation.
func read(t *testing.T, text string) (*api.Resource, api.Object) {
	t.Helper()
	var m metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	r := ByGVK(schema.FromAPIVersionAndKind(m.APIVersion, m.Kind))
	if r == nil {
		t.Fatalf("no row for %v", m)
	}
	o := r.New()
	if err := yaml.UnmarshalStrict([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	if r.Namespaced && o.GetNamespace() == "" {
		o.SetNamespace("default")
	}
	return r, o
}

func fillIn(t *testing.T, r *api.Resource, o api.Object) {
	t.Helper()
	if r.Default == nil {
		return
	}
	r.Default(o)
	once := o.DeepCopyObject()
	r.Default(o)
	if !reflect.DeepEqual(once, runtime.Object(o)) {
		t.Error("defaults that are applied twice differ from those applied once")
	}
}

func create(t *testing.T, text string) string {
	r, o := read(t, text)
	r.Prepare(o)
	fillIn(t, r, o)
	errs := validation.ValidateObjectMetaAccessor(o, r.Namespaced, validation.ValidateNameFunc(r.Name), field.NewPath("metadata"))
	if r.Validate != nil {
		errs = append(errs, r.Validate(o)...)
	}
	if len(errs) > 0 {
		return describe(errs)
	}
	out, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func update(t *testing.T, text string) string {
	first, second, ok := strings.Cut(text, "\n~~~\n")
	if !ok {
		t.Fatal("nothing replaces the object")
	}
	r, old := read(t, first)
	r.Prepare(old)
	fillIn(t, r, old)
	_, next := read(t, second)
	r.PrepareUpdate(next, old)
	fillIn(t, r, next)
	if r.ValidateUpdate != nil {
		if errs := r.ValidateUpdate(next, old); len(errs) > 0 {
			return describe(errs)
		}
	}
	if r.SpecChanged == nil {
		return "accepted"
	}
	return fmt.Sprintf("accepted, changed: %v", r.SpecChanged(next, old))
}

func describe(errs field.ErrorList) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, e.Error())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func table(t *testing.T, text string) string {
	r, o := read(t, text)
	if r.Default != nil {
		r.Default(o)
	}
	var b strings.Builder
	columns := r.Columns
	if len(columns) == 0 {
		columns = api.DefaultColumns
	}
	for _, c := range columns {
		mark := ""
		if c.Priority > 0 {
			mark = " (wide)"
		}
		fmt.Fprintf(&b, "%s%s: %v\n", c.Name, mark, c.Cell(o))
	}
	return b.String()
}
