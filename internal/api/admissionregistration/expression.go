package admissionregistration

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/cel"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// expressions compiles what one object says.
type expressions struct {
	params    bool        // the policy has a paramKind
	variables bool        // "variables" is declared
	policy    *cel.Policy // made with the first expression that may name variables
	before    before
}

// before is what the object said before this update; its zero value is that there was none.
type before struct {
	// texts were accepted once, by whichever release.
	texts map[string]bool
	// sameConditions: the match conditions did not change, so that nothing is said about them.
	sameConditions bool
	// sameRest: nor did any other expression, or what it may name.
	sameRest bool
}

func (b *before) add(texts ...string) {
	if b.texts == nil {
		b.texts = map[string]bool{}
	}
	for _, t := range texts {
		b.texts[t] = true
	}
}

func (b *before) addConditions(cs []admissionregistrationv1.MatchCondition) {
	for _, c := range cs {
		b.add(c.Expression)
	}
}

func (b *before) addVariables(vs []admissionregistrationv1.Variable) {
	for _, v := range vs {
		b.add(v.Expression)
	}
}

// paramsAre tells whether expressions may name what they could before.
func paramsAre(a, b *admissionregistrationv1.ParamKind) bool {
	return equality.Semantic.DeepEqual(a, b)
}

func policyBefore(next, old *admissionregistrationv1.ValidatingAdmissionPolicy) before {
	if old == nil {
		return before{}
	}
	n, o := &next.Spec, &old.Spec
	params := paramsAre(n.ParamKind, o.ParamKind)
	same := equality.Semantic.DeepEqual
	b := before{
		sameConditions: params && same(n.MatchConditions, o.MatchConditions),
		sameRest: params && same(n.Variables, o.Variables) && same(n.Validations, o.Validations) &&
			same(n.AuditAnnotations, o.AuditAnnotations),
	}
	b.addConditions(o.MatchConditions)
	b.addVariables(o.Variables)
	for _, v := range o.Validations {
		b.add(v.Expression, v.MessageExpression)
	}
	for _, a := range o.AuditAnnotations {
		b.add(a.ValueExpression)
	}
	return b
}

func mutatingPolicyBefore(next, old *admissionregistrationv1.MutatingAdmissionPolicy) before {
	if old == nil {
		return before{}
	}
	n, o := &next.Spec, &old.Spec
	params := paramsAre(n.ParamKind, o.ParamKind)
	same := equality.Semantic.DeepEqual
	b := before{
		sameConditions: params && same(n.MatchConditions, o.MatchConditions),
		sameRest:       params && same(n.Variables, o.Variables) && same(n.Mutations, o.Mutations),
	}
	b.addConditions(o.MatchConditions)
	b.addVariables(o.Variables)
	for _, m := range o.Mutations {
		if m.ApplyConfiguration != nil {
			b.add(m.ApplyConfiguration.Expression)
		}
		if m.JSONPatch != nil {
			b.add(m.JSONPatch.Expression)
		}
	}
	return b
}

// conditionsBefore compares the match conditions of all webhooks of a configuration.
func conditionsBefore(next, old [][]admissionregistrationv1.MatchCondition) before {
	b := before{sameConditions: equality.Semantic.DeepEqual(next, old)}
	for _, cs := range old {
		b.addConditions(cs)
	}
	return b
}

func (x *expressions) expression(text string, scope cel.Scope, want cel.Want) cel.Expression {
	scope.Params = x.params
	return cel.Expression{Text: text, Scope: scope, Want: want, Stored: x.before.texts[text]}
}

// inPolicy is where the policy's variables are known.
func (x *expressions) inPolicy() *cel.Policy {
	if x.policy == nil {
		x.policy = cel.NewPolicy()
	}
	return x.policy
}

// compile checks an expression that may name variables.
func (x *expressions) compile(text string, scope cel.Scope, want cel.Want, at *field.Path) field.ErrorList {
	return cel.Errors(at, text, x.program(x.expression(text, scope, want)))
}

// trimmed is an expression that is compiled without the space around it.
func (x *expressions) trimmed(text string, scope cel.Scope, want cel.Want) cel.Expression {
	e := x.expression(text, scope, want)
	e.Text = strings.TrimSpace(text)
	return e
}

func (x *expressions) program(e cel.Expression) error {
	if x.before.sameRest {
		return nil
	}
	if !x.variables {
		_, err := cel.Compile(e)
		return err
	}
	_, err := x.inPolicy().Compile(e)
	return err
}

var withAuthorizer = cel.Scope{Authorizer: true}

func (x *expressions) variable(v *admissionregistrationv1.Variable, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.TrimSpace(v.Name) == "" {
		errs = append(errs, field.Required(at.Child("name"), "name is not specified"))
	} else if !identifier(v.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), v.Name, "must be a valid CEL identifier"))
	}
	if at = at.Child("expression"); strings.TrimSpace(v.Expression) == "" {
		return append(errs, field.Required(at, "expression is not specified"))
	}
	if x.before.sameRest {
		return errs
	}
	_, err := x.inPolicy().Variable(v.Name, x.expression(v.Expression, withAuthorizer, nil))
	return append(errs, cel.Errors(at, v.Expression, err)...)
}

const maxConditions = 64

// conditions are evaluated before anything else: they see no variables.
func (x *expressions) conditions(cs []admissionregistrationv1.MatchCondition, at *field.Path) field.ErrorList {
	if x.before.sameConditions {
		return nil
	}
	if len(cs) > maxConditions {
		return field.ErrorList{field.TooMany(at, len(cs), maxConditions)} // to compile them all takes long
	}
	var errs field.ErrorList
	for i, c := range cs {
		idx := at.Index(i)
		if text := strings.TrimSpace(c.Expression); text == "" {
			errs = append(errs, field.Required(idx.Child("expression"), ""))
		} else {
			e := x.expression(text, withAuthorizer, cel.Bool)
			e.Stored = x.before.texts[c.Expression]
			_, err := cel.Compile(e)
			errs = append(errs, cel.Errors(idx.Child("expression"), text, err)...)
		}
		if c.Name == "" {
			errs = append(errs, field.Required(idx.Child("name"), ""))
			continue
		}
		errs = append(errs, meta.NameError(idx.Child("name"), c.Name, meta.QualifiedName)...)
		if slices.ContainsFunc(cs[:i], func(o admissionregistrationv1.MatchCondition) bool { return o.Name == c.Name }) {
			errs = append(errs, field.Duplicate(idx.Child("name"), c.Name))
		}
	}
	return errs
}

// patch checks the expression of a mutation.
func (x *expressions) patch(text string, want cel.Want, at *field.Path) field.ErrorList {
	if at = at.Child("expression"); strings.TrimSpace(text) == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	e := x.trimmed(text, cel.Scope{Authorizer: true, Patches: true}, want)
	return cel.Errors(at, e.Text, x.program(e))
}
