package custom

import (
	"encoding/json"
	"slices"
	"strings"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// SchemaJSON is what OpenAPI v3 documents tell of an object, without its own apiVersion,
// kind and metadata. nil: nothing is known, and nothing is to be told but that it is an object.
func (v *Version) SchemaJSON() []byte { return v.publish(false) }

// SchemaV2JSON is SchemaJSON without what OpenAPI v2 cannot say.
func (v *Version) SchemaV2JSON() []byte { return v.publish(true) }

func (v *Version) publish(v2 bool) []byte {
	props, err := v.schema()
	if err != nil || props == nil {
		return nil
	}
	s, err := structural.NewStructural(props)
	if err != nil || len(structural.ValidateStructural(nil, s)) > 0 {
		return nil // clients would take what is not structural for more than it is
	}
	if v2 && (s.XPreserveUnknownFields || v.loose) {
		return nil
	}
	s = s.DeepCopy().Unfold()
	if v2 {
		speakV2(s)
	}
	out := s.ToKubeOpenAPI()
	describeEmbedded(out, v2)
	if len(v.selectable) > 0 {
		var list []any
		for _, f := range v.selectable {
			list = append(list, map[string]any{"fieldPath": strings.TrimPrefix(f.JSONPath, ".")})
		}
		out.AddExtension("x-kubernetes-selectable-fields", list)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return b
}

// speakV2 drops what OpenAPI v2 has no words for, and what old clients stumble over: they
// refuse null in typed values, and fields that they do not know where properties are told.
func speakV2(s *structural.Structural) {
	v := structural.Visitor{Structural: func(s *structural.Structural) bool {
		if vv := s.ValueValidation; vv != nil {
			vv.AllOf, vv.AnyOf, vv.OneOf, vv.Not = nil, nil, nil, nil
		}
		if s.Nullable {
			s.Type, s.Nullable, s.Items, s.Properties = "", false, nil, nil
		}
		if s.XPreserveUnknownFields {
			s.Items, s.Properties = nil, nil
			if s.Type == "object" {
				s.Type = ""
			}
		}
		if s.Items == nil && s.Type == "array" {
			s.Type = ""
		}
		if vv := s.ValueValidation; vv != nil {
			vv.Required = slices.DeleteFunc(vv.Required, func(name string) bool { return s.Properties[name].Nullable })
			if a := s.AdditionalProperties; a != nil && a.Structural != nil && a.Structural.Nullable || len(vv.Required) == 0 {
				vv.Required = nil
			}
		}
		return true
	}}
	v.Visit(s)
}

const (
	conventions = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
	metaModel   = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// describeEmbedded tells what embedded objects have without their schema saying so.
func describeEmbedded(s *spec.Schema, v2 bool) {
	if s == nil {
		return
	}
	for name, p := range s.Properties {
		describeEmbedded(&p, v2)
		s.Properties[name] = p
	}
	if s.Items != nil {
		describeEmbedded(s.Items.Schema, v2)
	}
	if s.AdditionalProperties != nil {
		describeEmbedded(s.AdditionalProperties.Schema, v2)
	}
	if open, _ := s.Extensions.GetBool("x-kubernetes-preserve-unknown-fields"); open && v2 {
		return
	}
	if embedded, _ := s.Extensions.GetBool("x-kubernetes-embedded-resource"); !embedded {
		return
	}
	s.SetProperty("apiVersion", *spec.StringProperty().WithDescription("apiVersion defines the versioned schema of this representation of an object. " + conventions + "#resources"))
	s.SetProperty("kind", *spec.StringProperty().WithDescription("kind is a string value representing the type of this object. In CamelCase. " + conventions + "#types-kinds"))
	describe := metav1.PartialObjectMetadata{}.SwaggerDoc()["metadata"]
	if v2 {
		s.SetProperty("metadata", *spec.RefSchema("#/definitions/" + metaModel).WithDescription(describe))
	} else {
		wrapped := spec.Schema{SchemaProps: spec.SchemaProps{AllOf: []spec.Schema{*spec.RefSchema("#/components/schemas/" + metaModel)}}}
		s.SetProperty("metadata", *wrapped.WithDescription(describe))
	}
	for _, name := range []string{"kind", "apiVersion"} {
		if !slices.Contains(s.Required, name) {
			s.Required = append(s.Required, name)
		}
	}
}
