package meta

import "k8s.io/apimachinery/pkg/util/validation/field"

// Checked runs a check whose paths are made with Child, Index and Key, and makes
// paths only when there is an error to tell: the check runs with none, and again
// with at when it found something. Making paths costs more than all the checks of
// a valid object. A check that is itself part of such a first run (at is nil) runs once.
func Checked(at *field.Path, check func(at *field.Path) field.ErrorList) field.ErrorList {
	errs := check(nil)
	if at == nil || len(errs) == 0 {
		return errs
	}
	return check(at)
}

// Child is the path of a field below at, or of one below that; nil below nil.
func Child(at *field.Path, name string, more ...string) *field.Path {
	if at == nil {
		return nil
	}
	return at.Child(name, more...)
}

// Index is the path of an element of at; nil below nil.
func Index(at *field.Path, i int) *field.Path {
	if at == nil {
		return nil
	}
	return at.Index(i)
}

// Key is the path of what a map at the path holds under the key; nil below nil.
func Key(at *field.Path, key string) *field.Path {
	if at == nil {
		return nil
	}
	return at.Key(key)
}
