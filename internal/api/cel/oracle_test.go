package cel

import (
	"fmt"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// accessor hands an expression to Kubernetes' own compiler, which is far too heavy for the
// server: it makes 32 environments for each policy.
type accessor struct {
	name, text string
	want       Want
}

func (a accessor) GetExpression() string      { return a.text }
func (a accessor) GetName() string            { return a.name }
func (a accessor) ReturnTypes() []*celgo.Type { return a.want }

// TestAsKubernetes compiles the same expressions, variables first, with the same outcome.
func TestAsKubernetes(t *testing.T) {
	variables := [][2]string{
		{"n", "1"}, {"u", "1u"}, {"d", "1.5"}, {"s", "'a'"}, {"b", "b'a'"}, {"z", "null"}, {"yes", "true"},
		{"t", "timestamp('2020-01-01T00:00:00Z')"}, {"dur", "duration('1s')"}, {"obj", "object"}, {"user", "request.userInfo"},
		{"groups", "request.userInfo.groups"}, {"extra", "request.userInfo.extra"}, {"labels", "namespaceObject.metadata.labels"},
		{"conditions", "namespaceObject.status.conditions"}, {"q", "quantity('1')"}, {"ip", "ip('::1')"}, {"opt", "object.?a"},
		{"type", "type(1)"}, {"auth", "authorizer.group('')"}, {"bad", "nope"}, {"par", "params.x"}, {"list", "[[1]]"}, {"map", "{'a': {'b': 1}}"},
		{"chain", "variables.n + variables.list[0][0]"}, {"wrong", "variables.n + variables.s"}, {"object", "Object{}"}, {"namespace", "1"},
	}
	expressions := []string{
		"object.a == 1", "request.name", "request.namespace == 'a'", "request.object", "request.subResource", "request.requestResource.resource",
		"request.userInfo.extra['a'][0]", "namespaceObject.metadata.UID", "namespaceObject.metadata.uid", "namespaceObject.status.conditions[0].type",
		"namespaceObject.spec.finalizers", "params", "authorizer", "authorizer.requestResource", "authorizer.serviceAccount('a', 'b').group('').resource('x').namespace('y').check('get').reason()",
		"Object{spec: Object.spec{a: 1}}", "Object.metadata{name: 'a'}", "[JSONPatch{op: 'add', path: '/', value: 1}]", "JSONPatch{}", "jsonpatch.escapeKey('/')",
		"variables", "variables.none", "'a' in variables.groups", "[1, 'a']", "{1: 2, 'a': 3}", "object.exists(a, a.b)", "lists.range(3)", "'%s'.format(['a'])",
		"cel.bind(a, 1, a)", "sets.contains([1], [1])", "[1,2].sum()", "'a'.split('')", "url('https://a').getHost()", "format.dns1123Label().validate('a')",
		"semver('1.2.3').major()", "object.a.?b.orValue(1)", "[1].all(i, v, v > i)", "[3,1].sort()", "timestamp('x')", "duration('x')", "1 == 1u", "1 < 1.5", "", " ", "!", "a\nb", "'\\q'",
	}
	for _, v := range variables {
		expressions = append(expressions, "variables."+v[0], "variables."+v[0]+" == 1", "variables."+v[0]+".size()", "variables."+v[0]+".a", "variables."+v[0]+"[0]")
	}
	wants := []Want{Bool, String, StringOrNull, Anything, ApplyConfiguration, JSONPatch}
	modes := map[bool]environment.Type{false: environment.NewExpressions, true: environment.StoredExpressions}
	for _, scope := range []Scope{{}, {Params: true}, {Authorizer: true}, {Params: true, Authorizer: true}, {Params: true, Authorizer: true, Patches: true}} {
		for _, stored := range []bool{false, true} {
			theirs, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
			if err != nil {
				t.Fatal(err)
			}
			options := cel.OptionalVariableDeclarations{HasParams: scope.Params, HasAuthorizer: scope.Authorizer, HasPatchTypes: scope.Patches}
			ours := NewPolicy()
			for _, v := range variables {
				r := theirs.CompileAndStoreVariable(accessor{v[0], v[1], Anything}, options, modes[stored])
				_, err := ours.Variable(v[0], Expression{Text: v[1], Scope: scope, Stored: stored})
				same(t, fmt.Sprintf("%+v stored=%v: variable %q", scope, stored, v[1]), r, err)
			}
			for _, text := range expressions {
				for _, want := range wants {
					r := theirs.CompileCELExpression(accessor{"", text, want}, options, modes[stored])
					_, err := ours.Compile(Expression{Text: text, Scope: scope, Want: want, Stored: stored})
					same(t, fmt.Sprintf("%+v stored=%v: %q as %v", scope, stored, text, want), r, err)
				}
			}
		}
	}
}

func same(t *testing.T, what string, theirs cel.CompilationResult, ours error) {
	t.Helper()
	var want, got Error
	if theirs.Error != nil {
		want = Error{theirs.Error.Detail, theirs.Error.Type == "InternalError"}
	}
	if ours != nil {
		got = *ours.(*Error)
	}
	if want != got {
		t.Errorf("%s\nwant %+v\n got %+v", what, want, got)
	}
}
