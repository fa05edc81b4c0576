package admissionpolicystatus

import (
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gvkschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/cel"
	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// kinds are the kinds of a time. What they have is read from the definitions when it is asked for.
type kinds struct {
	rows     []*api.Resource
	resolver *resolver
}

func (k *kinds) KindOf(r gvkschema.GroupVersionResource) (gvkschema.GroupVersionKind, bool) {
	for _, row := range k.rows {
		if row.GVR == r {
			return row.GVK, true
		}
		for _, v := range row.Versions {
			if v.GVR == r {
				return v.GVK, true
			}
		}
	}
	return gvkschema.GroupVersionKind{}, false
}

func (k *kinds) TypeOf(gvk gvkschema.GroupVersionKind, name string) *cel.Known {
	for _, row := range k.rows {
		if row.GVK == gvk {
			return k.known(row, row.Type, name)
		}
		for _, v := range row.Versions {
			if v.GVK == gvk {
				return k.known(row, v.Type, name)
			}
		}
	}
	return nil
}

func (k *kinds) known(row *api.Resource, t reflect.Type, name string) *cel.Known {
	if k.resolver == nil {
		r, err := newResolver()
		if err != nil {
			return nil
		}
		k.resolver = r
	}
	var s *spec.Schema
	var err error
	if t != nil {
		s, err = k.resolver.named(schema.Of(t).Name)
	} else {
		s, err = k.custom(row)
	}
	if err != nil {
		return nil
	}
	return cel.Know(s, name)
}

// custom is the schema of a custom kind with what every object has.
func (k *kinds) custom(row *api.Resource) (*spec.Schema, error) {
	s := &spec.Schema{}
	if row.Custom.Schema != nil {
		if b := row.Custom.Schema(); b != nil {
			if err := json.Unmarshal(b, s); err != nil {
				return nil, err
			}
		}
	}
	s.Type = []string{"object"}
	s.SetProperty("apiVersion", *spec.StringProperty())
	s.SetProperty("kind", *spec.StringProperty())
	s.SetProperty("metadata", *spec.RefSchema(schema.Refs + schema.Of(reflect.TypeFor[metav1.ObjectMeta]()).Name))
	return k.resolver.full(s)
}
