package flowcontrol

import (
	"fmt"
	"slices"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func defaultFlowSchema(o *flowcontrolv1.FlowSchema) {
	meta.Default(&o.Spec.MatchingPrecedence, flowcontrolv1.FlowSchemaMaxMatchingPrecedence/10)
}

func validateFlowSchema(o *flowcontrolv1.FlowSchema) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	at := specPath.Child("matchingPrecedence")
	if s.MatchingPrecedence <= 0 {
		errs = append(errs, field.Invalid(at, s.MatchingPrecedence, "must be a positive value"))
	}
	if s.MatchingPrecedence > flowcontrolv1.FlowSchemaMaxMatchingPrecedence {
		errs = append(errs, field.Invalid(at, s.MatchingPrecedence, fmt.Sprintf("must not be greater than %v", flowcontrolv1.FlowSchemaMaxMatchingPrecedence)))
	}
	if s.MatchingPrecedence == 1 && o.Name != flowcontrolv1.FlowSchemaNameExempt {
		errs = append(errs, field.Invalid(at, s.MatchingPrecedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
	}
	if d := s.DistinguisherMethod; d != nil && d.Type != flowcontrolv1.FlowDistinguisherMethodByNamespaceType && d.Type != flowcontrolv1.FlowDistinguisherMethodByUserType {
		errs = append(errs, field.NotSupported(specPath.Child("distinguisherMethod", "type"), meta.GoNames(d), []flowcontrolv1.FlowDistinguisherMethodType{flowcontrolv1.FlowDistinguisherMethodByNamespaceType, flowcontrolv1.FlowDistinguisherMethodByUserType}))
	}
	level := specPath.Child("priorityLevelConfiguration", "name")
	if s.PriorityLevelConfiguration.Name == "" {
		errs = append(errs, field.Required(level, "must reference a priority level"))
	} else {
		errs = append(errs, meta.NameError(level, s.PriorityLevelConfiguration.Name, meta.DNSSubdomain)...)
	}
	for i := range s.Rules {
		errs = append(errs, validateRules(&s.Rules[i], specPath.Child("rules").Index(i))...)
	}
	return errs
}

func validateRules(r *flowcontrolv1.PolicyRulesWithSubjects, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range r.Subjects {
		errs = append(errs, validateSubject(&r.Subjects[i], at.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	star := func(at *field.Path, values []string, what string) {
		if len(values) == 0 {
			errs = append(errs, field.Required(at, what+" must contain at least one value"))
		} else if len(values) > 1 && slices.Contains(values, "*") {
			errs = append(errs, field.Invalid(at, values, "if '*' is present, must not specify other "+what))
		}
	}
	for i, q := range r.ResourceRules {
		idx := at.Child("resourceRules").Index(i)
		star(idx.Child("verbs"), q.Verbs, "verbs")
		star(idx.Child("apiGroups"), q.APIGroups, "api groups")
		star(idx.Child("resources"), q.Resources, "resources")
		if len(q.Namespaces) == 0 && !q.ClusterScope {
			errs = append(errs, field.Required(idx.Child("namespaces"), "resource rules that are not cluster scoped must supply at least one namespace"))
		}
	}
	for i, q := range r.NonResourceRules {
		idx := at.Child("nonResourceRules").Index(i)
		star(idx.Child("verbs"), q.Verbs, "verbs")
		if len(q.NonResourceURLs) == 0 {
			errs = append(errs, field.Required(idx.Child("nonResourceURLs"), "nonResourceURLs must contain at least one value"))
		}
	}
	return errs
}

func validateSubject(s *flowcontrolv1.Subject, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	part := func(kind flowcontrolv1.SubjectKind, name string, set bool) {
		switch {
		case s.Kind == kind && !set:
			errs = append(errs, field.Required(at.Child(name), fmt.Sprintf("%s is required when subject kind is '%s'", name, kind)))
		case s.Kind != kind && set:
			errs = append(errs, field.Forbidden(at.Child(name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", name, kind)))
		}
	}
	kinds := []flowcontrolv1.SubjectKind{flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount, flowcontrolv1.SubjectKindUser}
	if !slices.Contains(kinds, s.Kind) {
		return field.ErrorList{field.NotSupported(at.Child("kind"), s.Kind, kinds)}
	}
	part(flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil)
	part(flowcontrolv1.SubjectKindUser, "user", s.User != nil)
	part(flowcontrolv1.SubjectKindGroup, "group", s.Group != nil)
	return errs
}

func defaultLevel(o *flowcontrolv1.PriorityLevelConfiguration) {
	if l := o.Spec.Limited; l != nil {
		meta.DefaultAt(&l.NominalConcurrencyShares, 30)
		meta.DefaultAt(&l.LendablePercent, 0)
		if q := l.LimitResponse.Queuing; q != nil {
			meta.Default(&q.HandSize, 8)
			meta.Default(&q.Queues, 64)
			meta.Default(&q.QueueLengthLimit, 50)
		}
	}
	if e := o.Spec.Exempt; e != nil {
		meta.DefaultAt(&e.NominalConcurrencyShares, 0)
		meta.DefaultAt(&e.LendablePercent, 0)
	}
}

func validateLevel(o *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	s := &o.Spec
	types := []flowcontrolv1.PriorityLevelEnablement{flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited}
	switch {
	case s.Type == "":
		return field.ErrorList{field.Required(specPath.Child("type"), "")}
	case !slices.Contains(types, s.Type):
		return field.ErrorList{field.NotSupported(specPath.Child("type"), s.Type, types)}
	case s.Type == flowcontrolv1.PriorityLevelEnablementExempt:
		if s.Limited != nil {
			return field.ErrorList{field.Forbidden(specPath.Child("limited"), "must be nil if the type is not Limited")}
		}
		return nil
	}
	if s.Exempt != nil {
		return field.ErrorList{field.Forbidden(specPath.Child("exempt"), "must be nil if the type is Limited")}
	}
	if s.Limited == nil {
		return field.ErrorList{field.Required(specPath.Child("limited"), "must not be empty when type is Limited")}
	}
	return validateLimited(s.Limited, specPath.Child("limited"))
}

func validateLimited(l *flowcontrolv1.LimitedPriorityLevelConfiguration, at *field.Path) field.ErrorList {
	errs := meta.NonNegativeAt(l.NominalConcurrencyShares, at, "nominalConcurrencyShares")
	if p := l.LendablePercent; p != nil && (*p < 0 || *p > 100) {
		errs = append(errs, field.Invalid(at.Child("lendablePercent"), *p, "must be between 0 and 100, inclusive"))
	}
	errs = append(errs, meta.NonNegativeAt(l.BorrowingLimitPercent, at, "borrowingLimitPercent")...)
	r := at.Child("limitResponse")
	q := l.LimitResponse.Queuing
	switch l.LimitResponse.Type {
	case flowcontrolv1.LimitResponseTypeReject:
		if q != nil {
			errs = append(errs, field.Forbidden(r.Child("queuing"), "must be nil if limited.limitResponse.type is not Limited"))
		}
	case flowcontrolv1.LimitResponseTypeQueue:
		if q == nil {
			return append(errs, field.Required(r.Child("queuing"), "must not be empty if limited.limitResponse.type is Limited"))
		}
		for _, f := range []struct {
			name string
			n    int32
		}{{"queueLengthLimit", q.QueueLengthLimit}, {"queues", q.Queues}, {"handSize", q.HandSize}} {
			if f.n <= 0 {
				errs = append(errs, field.Invalid(r.Child("queuing", f.name), f.n, "must be positive"))
			}
		}
		if q.HandSize > q.Queues {
			errs = append(errs, field.Invalid(r.Child("queuing", "handSize"), q.HandSize, fmt.Sprintf("should not be greater than queues (%d)", q.Queues)))
		}
	case "":
		errs = append(errs, field.Required(r.Child("type"), ""))
	default:
		errs = append(errs, field.NotSupported(r.Child("type"), l.LimitResponse.Type, []flowcontrolv1.LimitResponseType{flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject}))
	}
	return errs
}

func levelNumber(o *flowcontrolv1.PriorityLevelConfiguration, at func(*flowcontrolv1.QueuingConfiguration) int32) string {
	if l := o.Spec.Limited; l != nil && l.LimitResponse.Queuing != nil {
		return fmt.Sprint(at(l.LimitResponse.Queuing))
	}
	return "<none>"
}

func shares(o *flowcontrolv1.PriorityLevelConfiguration) string {
	if l := o.Spec.Limited; l != nil && l.NominalConcurrencyShares != nil {
		return fmt.Sprint(*l.NominalConcurrencyShares)
	}
	return "<none>"
}

func distinguisher(o *flowcontrolv1.FlowSchema) string {
	if o.Spec.DistinguisherMethod == nil {
		return "<none>"
	}
	return string(o.Spec.DistinguisherMethod.Type)
}

func missingLevel(o *flowcontrolv1.FlowSchema) string {
	for _, c := range o.Status.Conditions {
		if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
			return string(c.Status)
		}
	}
	return "?"
}
