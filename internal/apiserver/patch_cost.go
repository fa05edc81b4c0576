package apiserver

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kjson "sigs.k8s.io/json"
)

// What a patch costs is not what it weighs: a JSON patch may copy copies, shift
// the elements of a long list with every operation, and a strategic merge looks
// every element of its lists up by going through the object's. Each is bounded
// before it is tried (the class of CVE-2019-1002100).
const (
	// maxPatchOperations bounds a JSON patch, so that a small body cannot cost much.
	maxPatchOperations = 10000
	// maxPatchShifts bounds how many elements the operations of a JSON patch may have to move.
	maxPatchShifts = 100_000_000
	// maxPatchLookups bounds how many pairs of list elements a strategic merge may compare.
	maxPatchLookups = 4_000_000
)

// limitCopies bounds what the "copy" operations of one patch may add; the library
// keeps the limit in a variable, which nobody else sets.
var limitCopies = sync.OnceFunc(func() { jsonpatch.AccumulatedCopySizeLimit = maxBody })

func patchTooCostly(what string, limit int) error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the patch would %s more than %d list elements of this object", what, limit))
}

// checkShifts bounds the work of a JSON patch with so many operations. No list has
// more elements than there are commas.
func checkShifts(operations int, patch, doc []byte) error {
	comma := []byte{','}
	if operations*(bytes.Count(doc, comma)+bytes.Count(patch, comma)) > maxPatchShifts {
		return patchTooCostly("move", maxPatchShifts)
	}
	return nil
}

// checkLookups bounds the work of a strategic merge.
func checkLookups(patch map[string]any, doc []byte) error {
	// Few need a closer look.
	if elementsOf(patch)*(bytes.Count(doc, []byte{','})+1) <= maxPatchLookups {
		return nil
	}
	var have map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(doc, &have); err != nil {
		return apierrors.NewInternalError(err)
	}
	var s shape
	s.take(have)
	if s.lookups(patch) > maxPatchLookups {
		return patchTooCostly("compare", maxPatchLookups)
	}
	return nil
}

// elementsOf counts the list elements at all depths.
func elementsOf(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, c := range v {
			n += elementsOf(c)
		}
	case []any:
		n = len(v)
		for _, c := range v {
			n += elementsOf(c)
		}
	}
	return n
}

// shape is how long the lists of an object are, by path; elements of a list share theirs.
type shape struct {
	longest int
	fields  map[string]*shape
}

func (s *shape) take(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			f := s.fields[k]
			if f == nil {
				if s.fields == nil {
					s.fields = map[string]*shape{}
				}
				f = &shape{}
				s.fields[k] = f
			}
			f.take(c)
		}
	case []any:
		s.longest = max(s.longest, len(v))
		for _, c := range v {
			s.take(c)
		}
	}
}

func (s *shape) lookups(patch any) int {
	n := 0
	switch v := patch.(type) {
	case map[string]any:
		for k, c := range v {
			// "$setElementOrder/containers" and the like go through the same list.
			_, of, directed := strings.Cut(k, "/")
			if f := s.fields[k]; f != nil {
				n += f.lookups(c)
			} else if directed && strings.HasPrefix(k, "$") && s.fields[of] != nil {
				n += s.fields[of].lookups(c)
			}
		}
	case []any:
		// The elements of the patch are also compared with each other.
		n = len(v) * (s.longest + len(v))
		for _, c := range v {
			n += s.lookups(c)
		}
	}
	return n
}
