package apiextensions

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// ruleReasons are what a rule may give as its reason, in the order in which errors list them.
var ruleReasons = []string{
	string(apiextensions.FieldValueDuplicate), string(apiextensions.FieldValueForbidden),
	string(apiextensions.FieldValueInvalid), string(apiextensions.FieldValueRequired),
}

// environments are made at the first rule: most definitions have none.
var environments = sync.OnceValue(func() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
})

// RuleEnv and MessageExpressionEnv choose what an expression may use.
func (d demand) RuleEnv(set *environment.EnvSet, rule string) *celgo.Env {
	return chooseEnv(set, d.storedRules[rule])
}

func (d demand) MessageExpressionEnv(set *environment.EnvSet, message string) *celgo.Env {
	return chooseEnv(set, d.storedMessages[message])
}

func chooseEnv(set *environment.EnvSet, stored bool) *celgo.Env {
	if stored {
		return set.StoredExpressionsEnv()
	}
	return set.NewExpressionsEnv()
}

func breaksLine(s string) bool { return strings.ContainsAny(s, "\n\r") }

// validateRules checks what can be seen of rules without compiling them.
func validateRules(s *apiextensions.JSONSchemaProps, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, r := range s.XValidations {
		at := at.Index(i)
		rule, message := strings.TrimSpace(r.Rule), strings.TrimSpace(r.Message)
		switch {
		case rule == "":
			errs = append(errs, field.Required(at.Child("rule"), "rule is not specified"))
		case r.Message != "" && message == "":
			errs = append(errs, field.Invalid(at.Child("message"), r.Message, "must be non-empty if specified"))
		case breaksLine(message):
			errs = append(errs, field.Invalid(at.Child("message"), r.Message, "must not contain line breaks"))
		case breaksLine(rule) && message == "":
			errs = append(errs, field.Required(at.Child("message"), "message must be specified if rule contains line breaks"))
		}
		if r.MessageExpression != "" && strings.TrimSpace(r.MessageExpression) == "" {
			errs = append(errs, field.Required(at.Child("messageExpression"), "messageExpression must be non-empty if specified"))
		}
		if r.Reason != nil && !slices.Contains(ruleReasons, string(*r.Reason)) {
			errs = append(errs, field.NotSupported(at.Child("reason"), *r.Reason, ruleReasons))
		}
		errs = append(errs, validateFieldPath(s, r.FieldPath, at.Child("fieldPath"))...)
	}
	return errs
}

func validateFieldPath(s *apiextensions.JSONSchemaProps, path string, at *field.Path) field.ErrorList {
	if path == "" {
		return nil
	}
	var errs field.ErrorList
	if strings.TrimSpace(path) == "" {
		errs = append(errs, field.Invalid(at, path, "must be non-empty if specified"))
	}
	if breaksLine(path) {
		errs = append(errs, field.Invalid(at, path, "must not contain line breaks"))
	}
	if ss, err := schema.NewStructural(s); err == nil {
		if _, _, err := fieldAt(path, ss); err != nil {
			errs = append(errs, field.Invalid(at, path, "must be a valid path"))
		}
	}
	return errs
}

// compile compiles the rules of a schema and adds up what they may cost.
func (c schemaCheck) compile(s *apiextensions.JSONSchemaProps, at *field.Path, p place, scope *ruleScope) field.ErrorList {
	t, err := scope.typed()
	if err != nil {
		return field.ErrorList{field.InternalError(at, fmt.Errorf("internal error: failed to construct type information for x-kubernetes-validations rules: %s", err))}
	}
	results, err := cel.Compile(t.schema, t.declared, celconfig.PerCallLimit, environments(), c)
	if err != nil {
		return field.ErrorList{field.InternalError(at, err)}
	}
	var errs field.ErrorList
	for i, r := range results {
		errs = append(errs, c.compiled(r, &s.XValidations[i], at.Index(i), p, scope)...)
	}
	return errs
}

// compiled says what is wrong with a rule by what the compiler made of it.
func (c schemaCheck) compiled(r cel.CompilationResult, v *apiextensions.ValidationRule, at *field.Path, p place, scope *ruleScope) field.ErrorList {
	var errs field.ErrorList
	charge := func(name, what string, cost uint64) {
		if !c.anyCost && cost > ruleCostLimit {
			errs = append(errs, field.Forbidden(at.Child(name), overBudget(what, cost, ruleCostLimit)))
		}
		scope.bill.add(at.Child(name), cost)
	}
	charge("rule", "estimated rule cost", scope.cost(r))
	switch {
	case r.Error == nil:
	case r.Error.Type == apiservercel.ErrorTypeRequired:
		errs = append(errs, field.Required(at.Child("rule"), r.Error.Detail))
	default:
		errs = append(errs, field.Invalid(at.Child("rule"), *v, r.Error.Detail))
	}
	if r.MessageExpressionError != nil {
		errs = append(errs, field.Invalid(at.Child("messageExpression"), *v, r.MessageExpressionError.Detail))
	} else if r.MessageExpression != nil {
		charge("messageExpression", "estimated messageExpression cost", r.MessageExpressionMaxCost)
	}
	if r.UsesOldSelf && p.lost != nil {
		errs = append(errs, field.Invalid(at.Child("rule"), v.Rule, fmt.Sprintf("oldSelf cannot be used on the uncorrelatable portion of the schema within %v", p.lost)))
	}
	if !r.UsesOldSelf && v.OptionalOldSelf != nil {
		errs = append(errs, field.Invalid(at.Child("optionalOldSelf"), *v.OptionalOldSelf, "may not be set if oldSelf is not used in rule"))
	}
	return errs
}
