package core

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validateFinalizer checks the name of one who must agree before an object goes.
func validateFinalizer(name string, path *field.Path) field.ErrorList {
	return append(meta.NameError(path, name, meta.QualifiedName), meta.Finalizer(name, path)...)
}
