package conformance

import (
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// strict sends an object with fieldValidation=Strict: created as YAML and as JSON, and applied.
func strict(t *T, path, name, body string) (created, applied error) {
	t.Helper()
	rest := t.c.CoreV1().RESTClient()
	created = rest.Post().AbsPath(path).Param("fieldValidation", "Strict").Param("dryRun", "All").SetHeader("Content-Type", "application/yaml").Body([]byte(body)).Do(t.ctx).Error()
	applied = rest.Patch(types.ApplyPatchType).AbsPath(path, name).Param("fieldValidation", "Strict").Param("fieldManager", "field_validation_mgr").Body([]byte(body)).Do(t.ctx).Error()
	return created, applied
}

func TestFieldValidation(t *testing.T) {
	deployment := func(t *T, replicas, meta, sub string) string {
		return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d%s
spec:
%s
  selector:
    matchLabels: {app: nginx}
  template:
    metadata:
      labels: {app: nginx}%s
    spec:
      containers:
      - name: nginx
        image: nginx:latest
`, meta, replicas, sub)
	}
	conform(t, "[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object", func(t *T) {
		path := "/apis/apps/v1/namespaces/" + t.ns + "/deployments"
		created, applied := strict(t, path, "d", deployment(t, "  unknownField: foo\n  replicas: 2\n  replicas: 3", "", ""))
		t.refused(created, apierrors.IsBadRequest, "strict decoding error", `unknown field "spec.unknownField"`, `key "replicas" already set in map`)
		t.refused(applied, apierrors.IsBadRequest, `key "replicas" already set in map`)
		body := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"unknownField":"foo","replicas":2,"replicas":3,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}}`
		err := t.c.CoreV1().RESTClient().Post().AbsPath(path).Param("fieldValidation", "Strict").Body([]byte(body)).Do(t.ctx).Error()
		t.refused(err, apierrors.IsBadRequest, `strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"`)
		var warned warnings
		err = t.c.CoreV1().RESTClient().Post().AbsPath(path).Param("fieldValidation", "Warn").SetHeader("Content-Type", "application/json").WarningHandler(&warned).Body([]byte(body)).Do(t.ctx).Error()
		t.ok(err)
		t.want(len(warned) == 2, "warned of %q", warned)
	})
	conform(t, "[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object", func(t *T) {
		created, applied := strict(t, "/apis/apps/v1/namespaces/"+t.ns+"/deployments", "d", deployment(t, "  replicas: 1", "\n  unknownMeta: foo", "\n      unknownSubMeta: bar"))
		t.refused(created, apierrors.IsBadRequest, `unknown field "metadata.unknownMeta"`, `unknown field "spec.template.metadata.unknownSubMeta"`)
		t.refused(applied, undeclared, ".metadata.unknownMeta: field not declared in schema", ".spec.template.metadata.unknownSubMeta: field not declared in schema")
	})
	closed := map[string]any{"type": "object", "properties": map[string]any{"spec": map[string]any{"type": "object", "properties": map[string]any{
		"foo":      map[string]any{"type": "string"},
		"cronSpec": map[string]any{"type": "string", "pattern": `^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$`},
		"ports":    map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{"port": map[string]any{"type": "integer"}}}},
	}}}}
	object := func(k kind, text string) string {
		return "apiVersion: " + k.GroupVersion().String() + "\nkind: " + k.Kind + "\nmetadata:\n  name: mytest\n" + text
	}
	path := func(t *T, k kind) string {
		return "/apis/" + k.GroupVersion().String() + "/namespaces/" + t.ns + "/" + k.Resource
	}
	conform(t, "[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema", func(t *T) {
		k := define(t, "Field", "v1", nil)
		created, applied := strict(t, path(t, k), "mytest", object(k, "spec:\n  foo: foo1\n  cronSpec: \"* * * * */5\"\n  unknown: {a: [1, {b: c}]}\n"))
		t.ok(created)
		t.ok(applied)
	})
	conform(t, "[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema", func(t *T) {
		k := define(t, "Field", "v1", closed)
		created, applied := strict(t, path(t, k), "mytest", object(k, "spec:\n  foo: foo1\n  cronSpec: \"* * * * */5\"\n  ports: [{port: 80}]\n"))
		t.ok(created)
		t.ok(applied)
	})
	conform(t, "[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema", func(t *T) {
		k := define(t, "Field", "v1", closed)
		created, applied := strict(t, path(t, k), "mytest", object(k, "spec:\n  foosDNE: foo1\n  ports: [{port: 80, hostPort: 81}]\n"))
		t.refused(created, apierrors.IsBadRequest, "strict decoding error", `unknown field "spec.foosDNE"`, `unknown field "spec.ports[0].hostPort"`)
		t.refused(applied, undeclared, ".spec.foosDNE: field not declared in schema")
	})
	conform(t, "[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR", func(t *T) {
		embedded := map[string]any{"type": "object", "properties": map[string]any{"spec": map[string]any{"type": "object", "properties": map[string]any{
			"template": map[string]any{"type": "object", "x-kubernetes-embedded-resource": true, "properties": map[string]any{"metadata": map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}}, "spec": map[string]any{"type": "object"}}}}}}}
		k := define(t, "Field", "v1", embedded)
		created, applied := strict(t, path(t, k), "mytest", object(k, "  unknownMeta: unknown\nspec:\n  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n      namespace: my-ns\n"))
		t.refused(created, apierrors.IsBadRequest, `unknown field "metadata.unknownMeta"`, `unknown field "spec.template.metadata.unknownSubMeta"`)
		t.refused(applied, undeclared, ".metadata.unknownMeta: field not declared in schema", ".spec.template.metadata.unknownSubMeta: field not declared in schema")
	})
	conform(t, "[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields", func(t *T) {
		k := define(t, "Field", "v1", map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": closed["properties"]})
		created, applied := strict(t, path(t, k), "mytest", object(k, "spec:\n  unknown: uk1\n  ports:\n  - portName: portName\n  foo: foo1\n  foo: foo2\n"))
		for _, err := range []error{created, applied} {
			t.refused(err, apierrors.IsBadRequest, `key "foo" already set in map`)
		}
	})
}

// undeclared says that an error is that of an apply with fields that the schema has not:
// no reason of its own.
func undeclared(err error) bool {
	return apierrors.ReasonForError(err) == "" || apierrors.IsInternalError(err)
}

// warnings are those that a client was told.
type warnings []string

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) { *w = append(*w, text) }
