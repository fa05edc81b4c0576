package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// maxQuoted bounds what errors repeat of a patch: it is written and escaped several times.
const maxQuoted = 16 << 10

// unfit is the error of a patch that makes something which is no object of the
// kind. compat: it names no object; a strategic merge patch is quoted as Go prints
// its map, of the other patches what they made; what is in Secrets is shown nowhere.
func unfit(t target, pt types.PatchType, patch, after []byte, err error) error {
	quoted := string(after)
	if pt == types.StrategicMergePatchType {
		var p, m map[string]any
		if json.Unmarshal(patch, &p) == nil {
			quoted = fmt.Sprintf("%+v", p)
		}
		if kjson.UnmarshalCaseSensitivePreserveInts(after, &m) == nil {
			// It is read from the map, whose errors have words of their own.
			if e := runtime.DefaultUnstructuredConverter.FromUnstructured(m, t.newObject()); e != nil {
				err = e
			}
		}
	}
	if t.res.GVR.Resource == "secrets" {
		quoted = "<redacted>"
	}
	if len(quoted) > maxQuoted {
		quoted = quoted[:maxQuoted] + "..."
	}
	return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), quoted, err.Error())})
}

// sameKind refuses a patch that makes an object of another kind. A strategic merge
// patch may say what it likes: it is read as the kind that it is applied to.
//
// compat: of the kind, nothing need be left, but without a version nothing of the object is found.
func sameKind(t target, pt types.PatchType, patch, after []byte, next api.Object) error {
	was, now := t.gvk(), next.GetObjectKind().GroupVersionKind()
	if now.Kind == "" {
		now.Kind = was.Kind
	}
	switch {
	case pt == types.StrategicMergePatchType, now == was:
		return nil
	case now.Version == "":
		return matchName("", t.name)
	case !known(now):
		return unfit(t, pt, patch, after, fmt.Errorf("no kind %q is registered for version %q in scheme %q", now.Kind, now.GroupVersion(), "pkg/api/legacyscheme/scheme.go:30"))
	case now.Kind == was.Kind:
		return nil
	}
	return unfit(t, pt, patch, after, fmt.Errorf("converting (%s.%s) to (%s.%s): unknown conversion", was.Version, now.Kind, groupName(was.Group), was.Kind))
}

// groupName is what Kubernetes calls the package of a group.
func groupName(group string) string {
	if group == "" {
		return "core"
	}
	name, _, _ := strings.Cut(group, ".")
	return name
}
