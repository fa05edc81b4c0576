package cel

import (
	"runtime"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// said is what of the errors is told to a client.
func said(text string, err error) string {
	errs := Errors(field.NewPath("at"), text, err)
	if len(errs) == 0 {
		return ""
	}
	return errs.ToAggregate().Error()
}

func TestCompile(t *testing.T) {
	all := Scope{Params: true, Authorizer: true}
	patches := Scope{Authorizer: true, Patches: true}
	for _, c := range []struct {
		text  string
		scope Scope
		want  Want
		error string
	}{
		{"object.metadata.name == oldObject.metadata.name", Scope{}, Bool, ""},
		{"request.userInfo.groups.exists(g, g == 'a') && request.dryRun", Scope{}, Bool, ""},
		{"request.kind.kind == 'Pod' && request.options.fieldManager != ''", Scope{}, Bool, ""},
		{"request.uid == ''", Scope{}, Bool, "at: Invalid value: \"request.uid == ''\": compilation failed: ERROR: <input>:1:8: undefined field 'uid'\n | request.uid == ''\n | .......^"},
		{"namespaceObject.metadata.labels['a'] == 'b' && namespaceObject.status.phase == 'Active'", Scope{}, Bool, ""},
		{"namespaceObject.spec.nope", Scope{}, Bool, "at: Invalid value: \"namespaceObject.spec.nope\": compilation failed: ERROR: <input>:1:21: undefined field 'nope'\n | namespaceObject.spec.nope\n | ....................^"},
		{"params.data.x == 'y'", all, Bool, ""},
		{"params.x", Scope{Authorizer: true}, Bool, "at: Invalid value: \"params.x\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.x\n | ^"},
		{"authorizer.group('').resource('pods').check('get').allowed()", all, Bool, ""},
		{"authorizer.requestResource.check('get').allowed()", all, Bool, ""},
		{"authorizer.path('/').check('get').allowed()", Scope{Params: true}, Bool, "at: Invalid value: \"authorizer.path('/').check('get').allowed()\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'authorizer' (in container '')\n | authorizer.path('/').check('get').allowed()\n | ^"},
		{"variables.a", all, Bool, "at: Invalid value: \"variables.a\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.a\n | ^"},
		{"1", all, Bool, `at: Invalid value: "1": must evaluate to bool but got int`},
		{"object.spec.paused", all, Bool, `at: Invalid value: "object.spec.paused": must evaluate to bool but got dyn`},
		{"'a'", all, StringOrNull, ""},
		{"null", all, StringOrNull, ""},
		{"1", all, StringOrNull, `at: Invalid value: "1": must evaluate to one of [string null_type] but got int`},
		{"[1]", all, Anything, ""},
		{"object.", all, Bool, "at: Invalid value: \"object.\": compilation failed: ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | object.\n | .......^"},
		{"'a'.matches('[')", all, Bool, "at: Invalid value: \"'a'.matches('[')\": compilation failed: ERROR: <input>:1:13: invalid matches argument\n | 'a'.matches('[')\n | ............^"},
		{"quantity('1Mi').isGreaterThan(quantity('1Ki')) && isSemver('1.2.3') && ip('::1').family() == 6", all, Bool, ""},
		{"Object{spec: Object.spec{replicas: 1}}", patches, ApplyConfiguration, ""},
		{"Object{}", all, ApplyConfiguration, "at: Invalid value: \"Object{}\": compilation failed: ERROR: <input>:1:7: undeclared reference to 'Object' (in container '')\n | Object{}\n | ......^"},
		{"1", patches, ApplyConfiguration, `at: Invalid value: "1": must evaluate to Object but got int`},
		{"Object.spec{}", patches, ApplyConfiguration, `at: Invalid value: "Object.spec{}": must evaluate to Object but got Object.spec`},
		{"[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'c'}]", patches, JSONPatch, ""},
		{"[JSONPatch{nope: 'add'}]", patches, JSONPatch, "at: Invalid value: \"[JSONPatch{nope: 'add'}]\": compilation failed: ERROR: <input>:1:16: expected type of field 'nope' is '' but provided type is 'string'\n | [JSONPatch{nope: 'add'}]\n | ...............^"},
		{"JSONPatch{op: 'add'}", patches, JSONPatch, `at: Invalid value: "JSONPatch{op: 'add'}": must evaluate to list(JSONPatch) but got JSONPatch`},
	} {
		for _, stored := range []bool{false, true} {
			p, err := Compile(Expression{Text: c.text, Scope: c.scope, Want: c.want, Stored: stored})
			if got := said(c.text, err); got != c.error {
				t.Errorf("%s (stored %v)\n got %q\nwant %q", c.text, stored, got, c.error)
			}
			if err == nil && p.Output == nil {
				t.Errorf("%s: a program without a type", c.text)
			}
		}
	}
}

func TestVariables(t *testing.T) {
	scope := Scope{Authorizer: true}
	p := NewPolicy()
	var before *Program
	for _, c := range []struct{ name, text, error string }{
		{"n", "1", ""},
		{"twice", "variables.n * 2", ""},
		{"list", "['a', 'b']", ""},
		{"map", "{'a': [1]}", ""},
		{"any", "object.spec", ""},
		{"user", "request.userInfo", ""},
		{"late", "variables.later", "at: Invalid value: \"variables.later\": compilation failed: ERROR: <input>:1:10: undefined field 'later'\n | variables.later\n | .........^"},
		{"later", "variables.late", ""}, // what does not compile may be anything
		{"sum", "variables.n + 'a'", "at: Invalid value: \"variables.n + 'a'\": compilation failed: ERROR: <input>:1:13: found no matching overload for '_+_' applied to '(int, string)'\n | variables.n + 'a'\n | ............^"},
	} {
		prog, err := p.Variable(c.name, Expression{Text: c.text, Scope: scope})
		if got := said(c.text, err); got != c.error {
			t.Errorf("%s: got %q, want %q", c.text, got, c.error)
		}
		if c.name == "n" {
			before = prog
		}
	}
	for _, c := range []struct{ text, error string }{
		{"variables.twice > 1 && variables.any.replicas > 1 && variables.user.nope == 1 && variables.late == 'x'", ""},
		{"variables.list.exists(s, s.startsWith('a'))", ""},
		{"variables.map['a'][0] == 1", ""},
		{"variables.list[0] == 1", "at: Invalid value: \"variables.list[0] == 1\": compilation failed: ERROR: <input>:1:19: found no matching overload for '_==_' applied to '(string, int)'\n | variables.list[0] == 1\n | ..................^"},
		{"variables.zzz > 1", "at: Invalid value: \"variables.zzz > 1\": compilation failed: ERROR: <input>:1:10: undefined field 'zzz'\n | variables.zzz > 1\n | .........^"},
	} {
		for _, stored := range []bool{false, true} {
			_, err := p.Compile(Expression{Text: c.text, Scope: scope, Want: Bool, Stored: stored})
			if got := said(c.text, err); got != c.error {
				t.Errorf("%s: got %q, want %q", c.text, got, c.error)
			}
		}
	}
	if v, _, err := before.Eval(map[string]any{}); err != nil || v.Value() != int64(1) {
		t.Errorf("the variable n is %v, %v", v, err)
	}
}

func TestDevice(t *testing.T) {
	for _, c := range []struct{ text, error string }{
		{"device.driver == 'a' && device.attributes['a'].b", ""},
		{"device.attributes['a'].b", ""},
		{"device.capacity['a'].memory.isGreaterThan(quantity('1Gi'))", ""},
		{"device.allowMultipleAllocations", ""},
		{"cel.bind(a, device.attributes['a'], a.b && a.c)", ""},
		{"1", `at: Invalid value: "1": must evaluate to bool or the unknown type, not int`},
		{"Not Valid!", "at: Invalid value: \"Not Valid!\": compilation failed: ERROR: <input>:1:5: Syntax error: mismatched input 'Valid' expecting <EOF>\n | Not Valid!\n | ....^"},
		{"device.nope", "at: Invalid value: \"device.nope\": compilation failed: ERROR: <input>:1:7: undefined field 'nope'\n | device.nope\n | ......^"},
	} {
		for _, stored := range []bool{false, true} {
			if _, err := Device(c.text, stored); said(c.text, err) != c.error {
				t.Errorf("%s: got %q, want %q", c.text, said(c.text, err), c.error)
			}
		}
	}
}

func TestEnvironmentsGoWithTheirPrograms(t *testing.T) {
	at := place{scope: Scope{Params: true, Patches: true}}
	p, err := Compile(Expression{Text: "params.a == 1", Scope: at.scope, Want: Bool})
	if err != nil {
		t.Fatal(err)
	}
	kept := environments.made[at]
	runtime.GC()
	if kept.Value() == nil {
		t.Error("the environment of a program that is held is gone")
	}
	runtime.KeepAlive(p)
	for end := time.Now().Add(time.Minute); kept.Value() != nil; runtime.GC() {
		if time.Now().After(end) {
			t.Fatal("an environment stays that nobody needs")
		}
	}
}

func BenchmarkPolicy(b *testing.B) {
	for b.Loop() {
		p := NewPolicy()
		if _, err := p.Variable("n", Expression{Text: "object.spec.replicas", Scope: Scope{Authorizer: true}}); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Compile(Expression{Text: "variables.n <= 5", Scope: Scope{Authorizer: true}, Want: Bool}); err != nil {
			b.Fatal(err)
		}
	}
}
