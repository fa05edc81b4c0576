package flowcontrol

import (
	"fmt"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Two levels and two schemas of the same names stay as they are: what is exempt lets
// administrators in whatever happens, and catch-all takes what nothing else takes.

func catchAllLevel() *flowcontrolv1.PriorityLevelConfigurationSpec {
	shares, lendable := int32(5), int32(0)
	return &flowcontrolv1.PriorityLevelConfigurationSpec{Type: flowcontrolv1.PriorityLevelEnablementLimited, Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
		NominalConcurrencyShares: &shares, LendablePercent: &lendable, LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject}}}
}

func validateMandatoryLevel(o *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	switch o.Name {
	case flowcontrolv1.PriorityLevelConfigurationNameExempt:
		// How much the exempt lend is theirs to say.
		want := &flowcontrolv1.PriorityLevelConfigurationSpec{Type: flowcontrolv1.PriorityLevelEnablementExempt, Exempt: o.Spec.Exempt}
		if !meta.Equal(&o.Spec, want) {
			return field.ErrorList{field.Invalid(specPath, meta.GoNames(&o.Spec), "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value")}
		}
	case flowcontrolv1.PriorityLevelConfigurationNameCatchAll:
		if !meta.Equal(&o.Spec, catchAllLevel()) {
			return field.ErrorList{field.Invalid(specPath, meta.GoNames(&o.Spec), fmt.Sprintf("spec of '%s' must equal the fixed value", o.Name))}
		}
	}
	return nil
}

// everything is a rule that takes all requests of some groups.
func everything(groups ...string) []flowcontrolv1.PolicyRulesWithSubjects {
	all := []string{every}
	r := flowcontrolv1.PolicyRulesWithSubjects{
		ResourceRules:    []flowcontrolv1.ResourcePolicyRule{{Verbs: all, APIGroups: all, Resources: all, ClusterScope: true, Namespaces: all}},
		NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}},
	}
	for _, g := range groups {
		r.Subjects = append(r.Subjects, flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: g}})
	}
	return []flowcontrolv1.PolicyRulesWithSubjects{r}
}

func validateMandatorySchema(o *flowcontrolv1.FlowSchema) field.ErrorList {
	var want *flowcontrolv1.FlowSchemaSpec
	switch o.Name {
	case flowcontrolv1.FlowSchemaNameExempt:
		want = &flowcontrolv1.FlowSchemaSpec{MatchingPrecedence: 1, Rules: everything("system:masters")}
	case flowcontrolv1.FlowSchemaNameCatchAll:
		want = &flowcontrolv1.FlowSchemaSpec{MatchingPrecedence: flowcontrolv1.FlowSchemaMaxMatchingPrecedence, Rules: everything("system:unauthenticated", "system:authenticated"),
			DistinguisherMethod: &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType}}
	default:
		return nil
	}
	want.PriorityLevelConfiguration.Name = o.Name
	if meta.Equal(&o.Spec, want) {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath, meta.GoNames(&o.Spec), fmt.Sprintf("spec of '%s' must equal the fixed value", o.Name))}
}

// oneEach checks that conditions have types, each its own.
func oneEach[T ~string](n int, at func(int) T) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[T]bool, n)
	conditions := field.NewPath("status", "conditions")
	for i := range n {
		t, path := at(i), conditions.Index(i).Child("type")
		if seen[t] {
			errs = append(errs, field.Duplicate(path, t))
		}
		seen[t] = true
		if t == "" {
			errs = append(errs, field.Required(path, ""))
		}
	}
	return errs
}

func validateSchemaStatus(next, _ *flowcontrolv1.FlowSchema) field.ErrorList {
	return oneEach(len(next.Status.Conditions), func(i int) flowcontrolv1.FlowSchemaConditionType { return next.Status.Conditions[i].Type })
}

func validateLevelStatus(next, _ *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	return oneEach(len(next.Status.Conditions), func(i int) flowcontrolv1.PriorityLevelConfigurationConditionType {
		return next.Status.Conditions[i].Type
	})
}
