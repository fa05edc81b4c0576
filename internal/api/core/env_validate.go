package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	envFieldPaths    = []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
	volumeFieldPaths = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	resourcePaths    = []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"}
)

func validateEnv(vars []corev1.EnvVar, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range vars {
		v := &vars[i]
		if v.Name == "" {
			errs = append(errs, field.Required(at.Child("env").Index(i).Child("name"), ""))
		} else if msgs := meta.EnvName(v.Name); len(msgs) > 0 {
			errs = append(errs, meta.Invalids(meta.Child(meta.Index(meta.Child(at, "env"), i), "name"), v.Name, msgs)...)
		}
		if v.ValueFrom != nil {
			errs = append(errs, validateValueFrom(v, meta.Child(meta.Index(meta.Child(at, "env"), i), "valueFrom"))...)
		}
	}
	return errs
}

func validateValueFrom(v *corev1.EnvVar, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	n := 0
	from := v.ValueFrom
	if from.FieldRef != nil {
		n++
		errs = append(errs, validateFieldRef(from.FieldRef, envFieldPaths, meta.Child(at, "fieldRef"))...)
	}
	if from.ResourceFieldRef != nil {
		n++
		errs = append(errs, validateResourceRef(from.ResourceFieldRef, meta.Child(at, "resourceFieldRef"), false)...)
	}
	if r := from.ConfigMapKeyRef; r != nil {
		n++
		errs = append(errs, validateKeyRef(r.Name, r.Key, meta.Child(at, "configMapKeyRef"))...)
	}
	if r := from.SecretKeyRef; r != nil {
		n++
		errs = append(errs, validateKeyRef(r.Name, r.Key, meta.Child(at, "secretKeyRef"))...)
	}
	if r := from.FileKeyRef; r != nil {
		n++
		errs = append(errs, validateFileKey(r, meta.Child(at, "fileKeyRef"))...)
	}
	switch {
	case n == 0:
		errs = append(errs, field.Invalid(at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case v.Value != "":
		errs = append(errs, field.Invalid(at, "", "may not be specified when `value` is not empty"))
	case n > 1:
		errs = append(errs, field.Invalid(at, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func validateFileKey(r *corev1.FileKeySelector, at *field.Path) field.ErrorList {
	errs := required(at, "key", r.Key, "volumeName", r.VolumeName, "path", r.Path)
	if r.Key != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "key"), r.Key, meta.EnvName)...)
	}
	if r.VolumeName != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "volumeName"), r.VolumeName, meta.DNSLabel)...)
	}
	return append(errs, noBacksteps(r.Path, meta.Child(at, "path"))...)
}

// fileVolumes checks that variables come from files of volumes that containers may write
// and that nobody else does.
func (p *podChecks) fileVolumes(env []corev1.EnvVar, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range env {
		if env[i].ValueFrom == nil || env[i].ValueFrom.FileKeyRef == nil {
			continue
		}
		name := env[i].ValueFrom.FileKeyRef.VolumeName
		path := meta.Child(meta.Index(meta.Child(at, "env"), i), "valueFrom", "fileKeyRef", "volumeName")
		if v := p.volumes.named(name); v == nil {
			errs = append(errs, field.NotFound(path, name))
		} else if v.EmptyDir == nil {
			errs = append(errs, field.Invalid(path, name, "referenced volume must be of type emptyDir"))
		}
	}
	return errs
}

func validateKeyRef(name, key string, at *field.Path) field.ErrorList {
	errs := meta.NameError(meta.Child(at, "name"), name, meta.DNSSubdomain)
	errs = append(errs, required(at, "key", key)...)
	if key != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "key"), key, meta.ConfigKey)...)
	}
	return errs
}

func validateEnvFrom(from []corev1.EnvFromSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range from {
		f := &from[i]
		idx := meta.Index(meta.Child(at, "envFrom"), i)
		if f.Prefix != "" {
			errs = append(errs, meta.NameError(meta.Child(idx, "prefix"), f.Prefix, meta.EnvName)...)
		}
		n := 0
		name := func(ref, name string) {
			n++
			if name == "" {
				errs = append(errs, field.Required(idx.Child(ref, "name"), ""))
			} else {
				errs = append(errs, meta.NameError(meta.Child(idx, ref, "name"), name, meta.DNSSubdomain)...)
			}
		}
		if f.ConfigMapRef != nil {
			name("configMapRef", f.ConfigMapRef.Name)
		}
		if f.SecretRef != nil {
			name("secretRef", f.SecretRef.Name)
		}
		switch {
		case n == 0:
			errs = append(errs, field.Invalid(at.Child("envFrom"), "", "must specify one of: `configMapRef` or `secretRef`"))
		case n > 1:
			errs = append(errs, field.Invalid(at.Child("envFrom"), "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}

// fieldLabel resolves what a downward reference may name, before the place narrows it.
func fieldLabel(label string) (string, error) {
	switch label {
	case "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
		"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName",
		"status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs":
		return label, nil
	case "spec.host":
		return "spec.nodeName", nil
	}
	return "", fmt.Errorf("field label not supported: %s", label)
}

// subscripted splits metadata.labels['key'].
func subscripted(path string) (base, key string, ok bool) {
	base, rest, ok := strings.Cut(path, "['")
	key, ok2 := strings.CutSuffix(rest, "']")
	if !ok || !ok2 || base == "" {
		return path, "", false
	}
	return base, key, true
}

func validateFieldRef(r *corev1.ObjectFieldSelector, allowed []string, at *field.Path) field.ErrorList {
	if r.APIVersion == "" {
		return field.ErrorList{field.Required(at.Child("apiVersion"), "")}
	}
	if r.FieldPath == "" {
		return field.ErrorList{field.Required(at.Child("fieldPath"), "")}
	}
	if r.APIVersion != "v1" {
		return field.ErrorList{field.Invalid(at.Child("fieldPath"), r.FieldPath, "error converting fieldPath: unsupported pod version: "+r.APIVersion)}
	}
	if base, key, ok := subscripted(r.FieldPath); ok {
		switch base {
		case "metadata.annotations":
			return meta.NameError(at, strings.ToLower(key), meta.QualifiedName)
		case "metadata.labels":
			return meta.NameError(at, key, meta.QualifiedName)
		}
		return field.ErrorList{field.Invalid(at.Child("fieldPath"), r.FieldPath, "error converting fieldPath: field label does not support subscript: "+r.FieldPath)}
	}
	path, err := fieldLabel(r.FieldPath)
	if err != nil {
		return field.ErrorList{field.Invalid(at.Child("fieldPath"), r.FieldPath, fmt.Sprintf("error converting fieldPath: %v", err))}
	}
	return oneOf(at, "fieldPath", path, allowed)
}

func validateResourceRef(r *corev1.ResourceFieldSelector, at *field.Path, volume bool) field.ErrorList {
	var errs field.ErrorList
	switch {
	case volume && r.ContainerName == "":
		errs = append(errs, field.Required(at.Child("containerName"), ""))
	case r.Resource == "":
		errs = append(errs, field.Required(at.Child("resource"), ""))
	case !slices.Contains(resourcePaths, r.Resource) && !strings.HasPrefix(r.Resource, "limits.hugepages-") && !strings.HasPrefix(r.Resource, "requests.hugepages-"):
		errs = append(errs, field.NotSupported(at.Child("resource"), r.Resource, resourcePaths))
	}
	if r.Divisor.IsZero() {
		return errs
	}
	allowed, text := "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei", ""
	switch _, name, _ := strings.Cut(r.Resource, "."); {
	case name == "cpu":
		allowed, text = "1m, 1", "only divisor's values 1m and 1 are supported with the cpu resource"
	case name == "memory":
		text = "only divisor's values " + allowed + " are supported with the memory resource"
	case name == "ephemeral-storage":
		text = "only divisor's values " + allowed + " are supported with the local ephemeral storage resource"
	case strings.HasPrefix(name, "hugepages-"):
		text = "only divisor's values " + allowed + " are supported with the hugepages resource"
	}
	if text != "" && !slices.Contains(strings.Split(allowed, ", "), r.Divisor.String()) {
		errs = append(errs, field.Invalid(at.Child("divisor"), r.Resource, text))
	}
	return errs
}
