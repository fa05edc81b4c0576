package admissionpolicystatus

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/custom"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

const definition = `
metadata: {name: crontabs.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {num: {type: integer}, any: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}
`

func rows(t *testing.T) func() []*api.Resource {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict([]byte(definition), crd); err != nil {
		t.Fatal(err)
	}
	out := append(all.Rows[:len(all.Rows):len(all.Rows)], custom.Rows(crd, func() *apiextensionsv1.CustomResourceDefinition { return crd })...)
	return func() []*api.Resource { return out }
}

const (
	deployments = "{resourceRules: [{apiGroups: [apps], apiVersions: [v1], resources: [deployments], operations: ['*']}]}"
	workloads   = "{resourceRules: [{apiGroups: [batch, apps], apiVersions: [v1], resources: [replicasets, deployments/status, deployments, nothings, jobs], operations: ['*']}]}"
	crontabs    = "{resourceRules: [{apiGroups: [example.com], apiVersions: [v1], resources: [crontabs], operations: ['*']}]}"
)

func TestStep(t *testing.T) {
	rows := rows(t)
	for _, c := range []struct{ name, spec, want string }{
		{"nothing to say", "{matchConstraints: " + deployments + ", validations: [{expression: object.spec.replicas > 1 && oldObject.metadata.name != request.name}]}", ""},
		{"a field that is not there", "{matchConstraints: " + deployments + ", validations: [{expression: 'true'}, {expression: object.foo.bar == 1, messageExpression: object.nope}]}", `
- fieldRef: spec.validations[1].expression
  warning: |
    apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'foo'
     | object.foo.bar == 1
     | ......^
- fieldRef: spec.validations[1].messageExpression
  warning: |
    apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'nope'
     | object.nope
     | ......^
`},
		{"types that do not fit", "{matchConstraints: " + deployments + ", validations: [{expression: object.spec.replicas > '1'}]}", `
- fieldRef: spec.validations[0].expression
  warning: |
    apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'
     | object.spec.replicas > '1'
     | .....................^
`},
		{"several kinds", "{matchConstraints: " + workloads + ", validations: [{expression: object.spec.strategy.type == 'Recreate'}]}", `
- fieldRef: spec.validations[0].expression
  warning: |
    apps/v1, Kind=ReplicaSet: ERROR: <input>:1:12: undefined field 'strategy'
     | object.spec.strategy.type == 'Recreate'
     | ...........^

    batch/v1, Kind=Job: ERROR: <input>:1:12: undefined field 'strategy'
     | object.spec.strategy.type == 'Recreate'
     | ...........^
`},
		{"variables", "{matchConstraints: " + deployments + ", variables: [{name: num, expression: object.spec.replicas}, {name: bad, expression: object.no}], validations: [{expression: variables.num == 'a'}, {expression: variables.bad == 1}, {expression: variables.none}]}", `
- fieldRef: spec.validations[0].expression
  warning: |
    apps/v1, Kind=Deployment: ERROR: <input>:1:15: found no matching overload for '_==_' applied to '(int, string)'
     | variables.num == 'a'
     | ..............^
- fieldRef: spec.validations[2].expression
  warning: |
    apps/v1, Kind=Deployment: ERROR: <input>:1:10: undefined field 'none'
     | variables.none
     | .........^
`},
		{"parameters", "{paramKind: {apiVersion: v1, kind: ConfigMap}, matchConstraints: " + deployments + ", validations: [{expression: params.data.a == 'b' && params.datas.a == 'b'}]}", `
- fieldRef: spec.validations[0].expression
  warning: |
    apps/v1, Kind=Deployment: ERROR: <input>:1:31: undefined field 'datas'
     | params.data.a == 'b' && params.datas.a == 'b'
     | ..............................^
`},
		{"parameters of the same kind", "{paramKind: {apiVersion: apps/v1, kind: Deployment}, matchConstraints: " + deployments + ", validations: [{expression: params.spec.replicas == object.spec.replicas}]}", ""},
		{"parameters of no kind", "{paramKind: {apiVersion: nope/v1, kind: Nope}, matchConstraints: " + deployments + ", validations: [{expression: params.anything == 1}]}", ""},
		{"custom kinds", "{matchConstraints: " + crontabs + ", validations: [{expression: object.spec.num == 1 && object.metadata.labels.a == '' && object.spec.m == 1}]}", `
- fieldRef: spec.validations[0].expression
  warning: |
    example.com/v1, Kind=CronTab: ERROR: <input>:1:70: undefined field 'm'
     | object.spec.num == 1 && object.metadata.labels.a == '' && object.spec.m == 1
     | .....................................................................^
`},
		{"kinds that wildcards name", "{matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: ['*'], resources: [deployments]}, {apiGroups: [apps], apiVersions: [v1], resources: ['*/*']}]}, validations: [{expression: object.foo == 1}]}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 3}}
			if err := yaml.UnmarshalStrict([]byte(c.spec), &p.Spec); err != nil {
				t.Fatal(err)
			}
			k := clienttest.New(p)
			step := func(want ...string) {
				t.Helper()
				got, _, err := controllertest.Step(t, k, Spec(rows), controller.Key{Name: "p"}, controllertest.Start)
				if err != nil {
					t.Fatal(err)
				}
				controllertest.Equal(t, got, want)
			}
			step("update validatingadmissionpolicies/status p")
			is, err := client.Get[*admissionregistrationv1.ValidatingAdmissionPolicy](t.Context(), k, "", "p")
			if err != nil {
				t.Fatal(err)
			}
			if is.Status.ObservedGeneration != 3 || is.Status.TypeChecking == nil {
				t.Fatalf("status %+v", is.Status)
			}
			got := ""
			if w := is.Status.TypeChecking.ExpressionWarnings; len(w) > 0 {
				b, err := yaml.Marshal(w)
				if err != nil {
					t.Fatal(err)
				}
				got = "\n" + string(b)
			}
			if got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			step() // it was looked at
		})
	}
}
