package apiextensions

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Conditions is the status that a definition should have, and whether that is another one than it has. The
// others are all definitions; those of other groups and the definition itself do no harm among them.
//
// A definition becomes established together with its names and stays so: whoever serves kinds serves one as
// soon as it sees that its definition is established. One that is being deleted does not become established any more. Who names a conflict first depends on the order in which
// definitions are looked at, so that call for one at a time, and for all of the group again after a definition
// changed its accepted names or is gone.
func Conditions(crd *apiextensionsv1.CustomResourceDefinition, others []*apiextensionsv1.CustomResourceDefinition, now time.Time) (status apiextensionsv1.CustomResourceDefinitionStatus, changed bool) {
	status = *crd.Status.DeepCopy()
	if c := approved(crd); c != nil {
		setCondition(&status, *c, now)
	}
	names := acceptNames(crd, &status, others)
	setCondition(&status, names, now)
	if c := established(crd, &status, names.Status == apiextensionsv1.ConditionTrue); c != nil {
		setCondition(&status, *c, now)
	}
	if c := nonStructural(crd); c != nil {
		setCondition(&status, *c, now)
	} else {
		status.Conditions = slices.DeleteFunc(status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.NonStructuralSchema
		})
	}
	if c := terminating(crd); c != nil {
		setCondition(&status, *c, now)
	}
	return status, !equality.Semantic.DeepEqual(status, crd.Status)
}

func condition(status *apiextensionsv1.CustomResourceDefinitionStatus, t apiextensionsv1.CustomResourceDefinitionConditionType) *apiextensionsv1.CustomResourceDefinitionCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == t {
			return &status.Conditions[i]
		}
	}
	return nil
}

// setCondition puts a condition into a status. Its time is that of the last change of its status.
func setCondition(status *apiextensionsv1.CustomResourceDefinitionStatus, c apiextensionsv1.CustomResourceDefinitionCondition, now time.Time) {
	c.LastTransitionTime = metav1.NewTime(now).Rfc3339Copy()
	was := condition(status, c.Type)
	if was == nil {
		status.Conditions = append(status.Conditions, c)
		return
	}
	if was.Status == c.Status && !was.LastTransitionTime.IsZero() {
		c.LastTransitionTime = was.LastTransitionTime
	}
	c.ObservedGeneration = was.ObservedGeneration
	*was = c
}

// established says what follows from the names for the kind; nil: nothing new.
func established(crd *apiextensionsv1.CustomResourceDefinition, status *apiextensionsv1.CustomResourceDefinitionStatus, accepted bool) *apiextensionsv1.CustomResourceDefinitionCondition {
	c := &apiextensionsv1.CustomResourceDefinitionCondition{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionFalse}
	was := condition(status, apiextensionsv1.Established)
	switch {
	case was != nil && was.Status == apiextensionsv1.ConditionTrue:
		return nil
	case accepted && crd.DeletionTimestamp != nil:
		return nil // nobody wants it any more
	case accepted && unreadable(crd.Spec.Conversion):
		c.Reason, c.Message = "InvalidCABundle", "The conversion webhook CABundle is invalid"
	case accepted:
		c.Status, c.Reason, c.Message = apiextensionsv1.ConditionTrue, "InitialNamesAccepted", "the initial names have been accepted"
	case was == nil:
		c.Reason, c.Message = "NotAccepted", "not all names are accepted"
	default:
		return nil
	}
	return c
}

func unreadable(c *apiextensionsv1.CustomResourceConversion) bool {
	return c != nil && c.Webhook != nil && c.Webhook.ClientConfig != nil && readBundle(c.Webhook.ClientConfig.CABundle) != nil
}

// nonStructural says what is wrong with schemas that came before structural ones; nil: nothing. Only definitions
// that keep unknown fields can have such schemas: no server ever accepted them in others, and to look through
// large ones takes milliseconds.
func nonStructural(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionCondition {
	if !crd.Spec.PreserveUnknownFields {
		return nil
	}
	c := &apiextensionsv1.CustomResourceDefinitionCondition{Type: apiextensionsv1.NonStructuralSchema, Status: apiextensionsv1.ConditionTrue, Reason: "Violations"}
	errs := field.ErrorList{field.Invalid(specPath.Child("preserveUnknownFields"), true, "must be false")}
	for i, v := range crd.Spec.Versions {
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		var props apiextensions.JSONSchemaProps
		err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil)
		var s *schema.Structural
		if err == nil {
			s, err = schema.NewStructural(&props)
		}
		if err != nil {
			c.Status, c.Reason = apiextensionsv1.ConditionUnknown, "StructuralError"
			c.Message = fmt.Sprintf("failed to check validation schema for version %s: %v", v.Name, err)
			return c
		}
		errs = append(errs, schema.ValidateStructural(specPath.Child("versions").Index(i).Child("schema", "openAPIV3Schema"), s)...)
	}
	c.Message = errs.ToAggregate().Error()
	return c
}

// approved tells whether somebody approved of a kind in a group of the Kubernetes project; nil: nobody has to.
func approved(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionCondition {
	if !apihelpers.IsProtectedCommunityGroup(crd.Spec.Group) {
		return nil
	}
	c := &apiextensionsv1.CustomResourceDefinitionCondition{Type: apiextensionsv1.KubernetesAPIApprovalPolicyConformant, Status: apiextensionsv1.ConditionFalse}
	var state apihelpers.APIApprovalState
	state, c.Message = apihelpers.GetAPIApprovalState(crd.Annotations)
	switch state {
	case apihelpers.APIApproved:
		c.Status, c.Reason = apiextensionsv1.ConditionTrue, "ApprovedAnnotation"
	case apihelpers.APIApprovalBypassed:
		c.Reason = "UnapprovedAnnotation"
	case apihelpers.APIApprovalMissing:
		c.Reason = "MissingAnnotation"
	default:
		c.Reason = "InvalidAnnotation"
	}
	return c
}
