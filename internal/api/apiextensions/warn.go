package apiextensions

import (
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// warn tells what is accepted and does not do what its author may think: of an update, what is new in it.
func warn(next, old *apiextensionsv1.CustomResourceDefinition) []string {
	formats, sets := suspicious(next)
	texts := append(formats, sets...)
	if old == nil || len(texts) == 0 {
		return texts
	}
	formats, sets = suspicious(old)
	known := setOf(append(formats, sets...))
	return slices.DeleteFunc(texts, func(t string) bool { return known[t] })
}

func suspicious(o *apiextensionsv1.CustomResourceDefinition) (formats, sets []string) {
	crd, errs := inMemory(o)
	if errs != nil {
		return nil, nil
	}
	version := environment.DefaultCompatibilityVersion()
	told := map[string]bool{}
	once := func(all []string, text string) []string {
		if told[text] {
			return all
		}
		told[text] = true
		return append(all, text)
	}
	anySchema(&crd.Spec, func(r *apiextensions.JSONSchemaProps) bool {
		return has(r, func(s *apiextensions.JSONSchemaProps) bool {
			if s.Format != "" {
				format := &spec.Schema{SchemaProps: spec.SchemaProps{Format: s.Format, Type: []string{s.Type}}}
				for _, f := range validation.GetUnrecognizedFormats(format, version) {
					formats = once(formats, fmt.Sprintf("unrecognized format %q", f))
				}
			}
			if items := itemsOf(s); is(s.XListType, "set") && items != nil && (items.Type == "object" || items.Type == "array") {
				sets = once(sets, fmt.Sprintf("x-kubernetes-list-type: set for items of type %q is not supported by server-side apply or CEL validation rules", items.Type))
			}
			return false
		})
	})
	slices.Sort(formats)
	slices.Sort(sets)
	return formats, sets
}

// setOf is for names that a request may repeat as often as it likes: they are not looked for in their list.
func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}
