package flowcontrol

import (
	"fmt"

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
	return append(errs, validateMandatorySchema(o)...)
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

func levelNumber(o *flowcontrolv1.PriorityLevelConfiguration, at func(*flowcontrolv1.QueuingConfiguration) int32) any {
	if l := o.Spec.Limited; l != nil && l.LimitResponse.Queuing != nil {
		return int64(at(l.LimitResponse.Queuing))
	}
	return "<none>"
}

func shares(o *flowcontrolv1.PriorityLevelConfiguration) any {
	if l := o.Spec.Limited; l != nil && l.NominalConcurrencyShares != nil {
		return int64(*l.NominalConcurrencyShares)
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
