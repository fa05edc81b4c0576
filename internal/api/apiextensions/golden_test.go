package apiextensions

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// The files under testdata are blocks: what is given, a line with =>, what comes out. Blocks are separated by
// lines of ----. What is given is merged into base:
//
//	metadata, spec, status   as they are
//	version                  into the first version
//	second                   into a second version, which is served and not stored
//	schema                   instead of the schema of the first version
//	properties               instead of the properties of that schema
//	show: true               prints the object that comes out
const base = `
metadata: {name: foos.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: foos, kind: Foo}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`

const secondVersion = `{name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object, description: second}}}`

var row = CustomResourceDefinition.Row()

// TestCreate: a new definition is accepted or has a list of errors, and may have warnings.
func TestCreate(t *testing.T) { golden(t, "create", create) }

// TestUpdate: a definition and, after ~~~, what is merged into it.
func TestUpdate(t *testing.T) { golden(t, "update", update) }

// TestConditions: a definition and, each after ~~~, the others; out comes the status. All is at 2000-01-01T00:00:00Z.
func TestConditions(t *testing.T) { golden(t, "condition", conditions) }

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
			t.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(file), ".txt"), i), func(t *testing.T) {
				got := strings.Trim(run(t, given), "\n")
				if got != want && !*rewrite {
					t.Errorf("given\n%s\ngot\n%s\nwant\n%s", given, got, want)
				}
				out = append(out, given+"\n=>\n"+got)
			})
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(strings.Join(out, "\n----\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// merged is a manifest with a block merged into it.
func merged(manifest []byte, block string) (out []byte, show bool, err error) {
	var doc, in map[string]any
	if err := yaml.Unmarshal(manifest, &doc); err != nil {
		return nil, false, err
	}
	if err := yaml.UnmarshalStrict([]byte(block), &in); err != nil {
		return nil, false, err
	}
	spec := doc["spec"].(map[string]any)
	versions := spec["versions"].([]any)
	first := versions[0].(map[string]any)
	if v, ok := in["properties"]; ok {
		in["schema"] = map[string]any{"type": "object", "properties": v}
	}
	if v, ok := in["schema"]; ok {
		first["schema"] = map[string]any{"openAPIV3Schema": v}
	}
	if v, ok := in["version"]; ok {
		if versions[0], err = merge(first, v); err != nil {
			return nil, false, err
		}
	}
	if v, ok := in["second"]; ok {
		var second map[string]any
		if err := yaml.Unmarshal([]byte(secondVersion), &second); err != nil {
			return nil, false, err
		}
		next, err := merge(second, v)
		if err != nil {
			return nil, false, err
		}
		spec["versions"] = append(versions, next)
	}
	show = in["show"] == true
	for _, k := range []string{"properties", "schema", "version", "second", "show"} {
		delete(in, k)
	}
	all, err := merge(doc, in)
	if err != nil {
		return nil, false, err
	}
	out, err = json.Marshal(all)
	return out, show, err
}

func merge(into, what any) (any, error) {
	a, _ := json.Marshal(into)
	b, _ := json.Marshal(what)
	c, err := jsonpatch.MergePatch(a, b)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(c, &out)
}

func read(t *testing.T, manifest []byte) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	o := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(manifest, o); err != nil {
		t.Fatal(err)
	}
	fillIn(t, o)
	return o
}

func fillIn(t *testing.T, o *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	row.Default(o)
	once := o.DeepCopy()
	row.Default(o)
	if !reflect.DeepEqual(once, o) {
		t.Error("defaults that are applied twice differ from those applied once")
	}
}

func block(t *testing.T, manifest []byte, text string) (json []byte, show bool) {
	t.Helper()
	out, show, err := merged(manifest, text)
	if err != nil {
		t.Fatal(err)
	}
	return out, show
}

func create(t *testing.T, text string) string {
	manifest, show := block(t, []byte(base), text)
	o := read(t, manifest)
	row.Prepare(o)
	fillIn(t, o)
	before := o.DeepCopy()
	errs := validation.ValidateObjectMetaAccessor(o, row.Namespaced, validation.ValidateNameFunc(row.Name), field.NewPath("metadata"))
	errs = append(errs, row.Validate(o)...)
	out := describe(errs, row.Warn(o, nil))
	if !reflect.DeepEqual(before, o) {
		t.Error("the validation changed the definition")
	}
	if len(errs) > 0 || !show {
		return out
	}
	y, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(y)
}

func update(t *testing.T, text string) string {
	first, second, ok := strings.Cut(text, "\n~~~\n")
	if !ok {
		t.Fatal("nothing replaces the object")
	}
	manifest, _ := block(t, []byte(base), first)
	old := read(t, manifest)
	manifest, show := block(t, manifest, second)
	next := read(t, manifest)
	if next.Status.StoredVersions == nil {
		t.Error("no default for the stored versions")
	}
	before := old.DeepCopy()
	row.PrepareUpdate(next, old)
	fillIn(t, next)
	errs := row.ValidateUpdate(next, old)
	if !reflect.DeepEqual(before, old) {
		t.Error("the update changed the old definition")
	}
	out := describe(errs, row.Warn(next, old))
	switch {
	case len(errs) > 0:
		return out
	case show:
		y, err := yaml.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		return string(y)
	}
	return fmt.Sprintf("%s, changed: %t", out, row.SpecChanged(next, old))
}

// describe keeps the order of the errors, and only ends of those that print half a definition.
func describe(errs field.ErrorList, warnings []string) string {
	var lines []string
	for _, e := range errs {
		s := e.Error()
		if len(s) > 600 {
			s = s[:200] + " … " + s[len(s)-200:]
		}
		lines = append(lines, s)
	}
	if len(errs) == 0 {
		lines = append(lines, "accepted")
	}
	for _, w := range warnings {
		lines = append(lines, "warning: "+w)
	}
	return strings.Join(lines, "\n")
}

func conditions(t *testing.T, text string) string {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, b := range strings.Split(text, "\n~~~\n") {
		manifest, _ := block(t, []byte(base), b)
		crds = append(crds, read(t, manifest))
	}
	before := crds[0].DeepCopy()
	status, changed := Conditions(crds[0], crds, now)
	if !reflect.DeepEqual(before, crds[0]) {
		t.Error("the definition was changed")
	}
	after := crds[0].DeepCopy()
	after.Status = status
	if _, again := Conditions(after, crds[1:], now.Add(time.Hour)); again {
		t.Error("the status changes again")
	}
	y, err := yaml.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("changed: %t\n%s", changed, y)
}
