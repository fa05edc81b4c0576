package cel

import (
	"sync"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apiserver/pkg/cel"
)

// declare makes types known to an environment that is made from base.
func declare(base *celgo.Env, types ...*cel.DeclType) ([]celgo.EnvOption, error) {
	p := cel.NewDeclTypeProvider(types...)
	p.SetRecognizeKeywordAsFieldName(true)
	return p.EnvOptions(base.CELTypeProvider())
}

func object(name string, fields ...*cel.DeclField) *cel.DeclType {
	m := make(map[string]*cel.DeclField, len(fields))
	for _, f := range fields {
		m[f.Name] = f
	}
	return cel.NewObjectType(name, m)
}

func required(name string, t *cel.DeclType) *cel.DeclField {
	return cel.NewDeclField(name, t, true, nil, nil)
}

func optional(name string, t *cel.DeclType) *cel.DeclField {
	return cel.NewDeclField(name, t, false, nil, nil)
}

func list(of *cel.DeclType) *cel.DeclType { return cel.NewListType(of, -1) }

func mapOf(v *cel.DeclType) *cel.DeclType { return cel.NewMapType(cel.StringType, v, -1) }

// requestType is an AdmissionRequest without its objects, which are variables of
// their own, and its UID.
var requestType = sync.OnceValue(func() *cel.DeclType {
	kind := object("kubernetes.GroupVersionKind",
		required("group", cel.StringType),
		required("version", cel.StringType),
		required("kind", cel.StringType))
	resource := object("kubernetes.GroupVersionResource",
		required("group", cel.StringType),
		required("version", cel.StringType),
		required("resource", cel.StringType))
	user := object("kubernetes.UserInfo",
		optional("username", cel.StringType),
		optional("uid", cel.StringType),
		optional("groups", list(cel.StringType)),
		optional("extra", mapOf(list(cel.StringType))))
	return object("kubernetes.AdmissionRequest",
		required("kind", kind),
		required("resource", resource),
		optional("subResource", cel.StringType),
		required("requestKind", kind),
		required("requestResource", resource),
		optional("requestSubResource", cel.StringType),
		required("name", cel.StringType),
		optional("namespace", cel.StringType),
		required("operation", cel.StringType),
		required("userInfo", user),
		optional("dryRun", cel.BoolType),
		optional("options", cel.DynType))
})

// namespaceType is a Namespace without what policies have no business with: managed
// fields, owners.
var namespaceType = sync.OnceValue(func() *cel.DeclType {
	metadata := object("kubernetes.NamespaceMetadata",
		required("name", cel.StringType),
		required("generateName", cel.StringType),
		required("namespace", cel.StringType),
		required("labels", mapOf(cel.StringType)),
		required("annotations", mapOf(cel.StringType)),
		required("UID", cel.StringType), // compat: not uid
		required("creationTimestamp", cel.TimestampType),
		required("deletionGracePeriodSeconds", cel.IntType),
		required("deletionTimestamp", cel.TimestampType),
		required("generation", cel.IntType),
		required("resourceVersion", cel.StringType),
		required("finalizers", list(cel.StringType)))
	condition := object("kubernetes.NamespaceCondition",
		required("status", cel.StringType),
		required("type", cel.StringType),
		required("lastTransitionTime", cel.TimestampType),
		required("message", cel.StringType),
		required("reason", cel.StringType))
	return object("kubernetes.Namespace",
		required("metadata", metadata),
		required("spec", object("kubernetes.NamespaceSpec",
			required("finalizers", list(cel.StringType)))),
		required("status", object("kubernetes.NamespaceStatus",
			required("conditions", list(condition)),
			required("phase", cel.StringType))))
})

// simple are the types that a variable of a policy keeps as they are.
var simple = map[*celgo.Type]*cel.DeclType{
	celgo.AnyType:       cel.AnyType,
	celgo.BoolType:      cel.BoolType,
	celgo.BytesType:     cel.BytesType,
	celgo.DoubleType:    cel.DoubleType,
	celgo.DurationType:  cel.DurationType,
	celgo.IntType:       cel.IntType,
	celgo.NullType:      cel.NullType,
	celgo.StringType:    cel.StringType,
	celgo.TimestampType: cel.TimestampType,
	celgo.UintType:      cel.UintType,
}

// declared is the type as a field may have it. Lists and maps keep the types of what
// is in them; objects become dynamic.
func declared(t *celgo.Type) *cel.DeclType {
	if d := simple[t]; d != nil {
		return d
	}
	if t == nil {
		return cel.DynType
	}
	switch in := t.Parameters(); {
	case t.Kind() == celgo.ListKind && len(in) == 1:
		return list(declared(in[0]))
	case t.Kind() == celgo.MapKind && len(in) == 2:
		return cel.NewMapType(declared(in[0]), declared(in[1]), -1)
	}
	return cel.DynType
}

// variablesType is a new type of the variable "variables", which has none yet.
func variablesType() *cel.DeclType { return object("kubernetes.variables") }
