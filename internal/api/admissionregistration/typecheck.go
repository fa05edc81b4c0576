package admissionregistration

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api/cel"
)

const (
	// maxChecked is how many kinds the expressions of a policy are checked with.
	maxChecked = 10
	// maxLooked bounds how often a kind is looked for: rules multiply groups, versions and resources.
	maxLooked = 10000
)

// Kinds is what is known of the kinds that are served.
type Kinds interface {
	// KindOf is the kind of a resource; false: there is none.
	KindOf(schema.GroupVersionResource) (schema.GroupVersionKind, bool)
	// TypeOf is what objects of a kind have, as a type of that name; nil: it is not known.
	TypeOf(k schema.GroupVersionKind, name string) *cel.Known
}

// TypeCheck looks at the validations of a policy with each kind that it names, and warns
// of what will fail when an object of that kind comes. Nothing is looked at where the
// policy names kinds with wildcards.
func TypeCheck(p *admissionregistrationv1.ValidatingAdmissionPolicy, kinds Kinds) []admissionregistrationv1.ExpressionWarning {
	var gvks []schema.GroupVersionKind
	var checkers []*cel.Checker
	params := knownParams(p, kinds)
	for _, gvk := range matched(p.Spec.MatchConstraints, kinds) {
		is := kinds.TypeOf(gvk, gvk.Kind)
		if is == nil {
			continue
		}
		c, err := cel.NewChecker(is, params, p.Spec.ParamKind != nil)
		if err != nil {
			continue // it is no part of the policy that is wrong
		}
		for _, v := range p.Spec.Variables {
			c.Variable(v.Name, v.Expression)
		}
		gvks, checkers = append(gvks, gvk), append(checkers, c)
	}
	var out []admissionregistrationv1.ExpressionWarning
	check := func(field, text string) {
		var found []string
		for i, c := range checkers {
			if issues := c.Check(text); issues != "" {
				found = append(found, fmt.Sprintf("%v: %s\n", gvks[i], issues))
			}
		}
		if len(found) > 0 {
			out = append(out, admissionregistrationv1.ExpressionWarning{FieldRef: field, Warning: strings.Join(found, "\n")})
		}
	}
	for i, v := range p.Spec.Validations {
		at := specPath.Child("validations").Index(i)
		check(at.Child("expression").String(), v.Expression)
		if v.MessageExpression != "" {
			check(at.Child("messageExpression").String(), v.MessageExpression)
		}
	}
	return out
}

// knownParams is what the parameters of a policy are; nil: anything.
func knownParams(p *admissionregistrationv1.ValidatingAdmissionPolicy, kinds Kinds) *cel.Known {
	k := p.Spec.ParamKind
	if k == nil {
		return nil
	}
	gv, err := schema.ParseGroupVersion(k.APIVersion)
	if err != nil {
		return nil
	}
	// Objects may be of the same kind, and types are told apart by their names.
	return kinds.TypeOf(gv.WithKind(k.Kind), "params."+k.Kind)
}

// matched are the kinds that the rules name, in the order of their groups, versions and names.
func matched(m *admissionregistrationv1.MatchResources, kinds Kinds) []schema.GroupVersionKind {
	if m == nil {
		return nil
	}
	seen := map[schema.GroupVersionKind]bool{}
	var out []schema.GroupVersionKind
	looked := 0
rules:
	for i := range m.ResourceRules {
		count := 0
		for gvr := range named(&m.ResourceRules[i].Rule) {
			if looked++; looked > maxLooked {
				break rules
			}
			gvk, ok := kinds.KindOf(gvr)
			if !ok {
				continue
			}
			if !seen[gvk] {
				seen[gvk] = true
				out = append(out, gvk)
			}
			if count++; count == maxChecked {
				break rules
			}
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupVersionKind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// named are the resources that a rule names; none when a wildcard stands for a group or version. Resources
// with a wildcard and subresources are left out.
func named(r *admissionregistrationv1.Rule) iter.Seq[schema.GroupVersionResource] {
	return func(yield func(schema.GroupVersionResource) bool) {
		wild := func(s string) bool { return strings.Contains(s, "*") }
		if slices.ContainsFunc(r.APIGroups, wild) || slices.ContainsFunc(r.APIVersions, wild) {
			return
		}
		resources := slices.DeleteFunc(slices.Sorted(slices.Values(r.Resources)), func(s string) bool { return strings.ContainsAny(s, "*/") })
		versions := slices.Sorted(slices.Values(r.APIVersions))
		for _, g := range slices.Sorted(slices.Values(r.APIGroups)) {
			for _, v := range versions {
				for _, res := range resources {
					if !yield(schema.GroupVersionResource{Group: g, Version: v, Resource: res}) {
						return
					}
				}
			}
		}
	}
}
