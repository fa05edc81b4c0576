package apiextensions

import (
	"errors"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

// taken are the names in a group that definitions have already.
type taken struct{ resources, kinds map[string]bool }

func takenIn(group string, crds []*apiextensionsv1.CustomResourceDefinition) taken {
	t := taken{map[string]bool{}, map[string]bool{}}
	for _, o := range crds {
		if o.Spec.Group != group {
			continue
		}
		n := &o.Status.AcceptedNames
		for _, r := range append([]string{n.Plural, n.Singular}, n.ShortNames...) {
			t.resources[r] = true
		}
		t.kinds[n.Kind], t.kinds[n.ListKind] = true, true
	}
	return t
}

// acceptNames gives a definition those of the names that it wants which nobody else in its group has, and says
// whether that is all of them. What it has, it keeps until it gets what it wants instead.
func acceptNames(crd *apiextensionsv1.CustomResourceDefinition, status *apiextensionsv1.CustomResourceDefinitionStatus, others []*apiextensionsv1.CustomResourceDefinition) apiextensionsv1.CustomResourceDefinitionCondition {
	others = slices.DeleteFunc(slices.Clone(others), func(o *apiextensionsv1.CustomResourceDefinition) bool { return o.Name == crd.Name })
	t := takenIn(crd.Spec.Group, append(others, crd))
	want, has := &crd.Spec.Names, &status.AcceptedNames
	c := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionTrue, Reason: "NoConflicts", Message: "no conflicts found",
	}
	// The last conflict is the one that is told.
	refuse := func(reason string, err error) {
		c.Status, c.Reason, c.Message = apiextensionsv1.ConditionFalse, reason, err.Error()
	}
	claim := func(has *string, want, reason string, used map[string]bool) {
		if *has != want && used[want] {
			refuse(reason, inUse(want))
			return
		}
		*has = want
	}
	claim(&has.Plural, want.Plural, "PluralConflict", t.resources)
	claim(&has.Singular, want.Singular, "SingularConflict", t.resources)
	if err := shortConflicts(want.ShortNames, has.ShortNames, t.resources); err != nil {
		refuse("ShortNamesConflict", err)
	} else {
		has.ShortNames = slices.Clone(want.ShortNames)
	}
	claim(&has.Kind, want.Kind, "KindConflict", t.kinds)
	claim(&has.ListKind, want.ListKind, "ListKindConflict", t.kinds)
	has.Categories = slices.Clone(want.Categories)
	return c
}

func inUse(name string) error { return fmt.Errorf("%q is already in use", name) }

func shortConflicts(want, has []string, used map[string]bool) error {
	var errs []error
	ours := setOf(has)
	for _, s := range want {
		if !ours[s] && used[s] {
			errs = append(errs, inUse(s))
		}
	}
	if all := utilerrors.NewAggregate(errs); all != nil {
		return errors.New(all.Error())
	}
	return nil
}
