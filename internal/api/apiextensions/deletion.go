package apiextensions

import (
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A definition goes in steps: MarkDeleted instead of its deletion; Conditions says that its objects are being
// deleted; whoever deletes them says with Terminating how that went; and when there are none any more, it
// takes away the finalizer (Released), which is the end.

// Outcome is how the deletion of the objects of a definition went.
type Outcome int

const (
	AllDeleted      Outcome = iota // there are none any more
	NotListed                      // what there is could not be found out
	NotDeleted                     // something could not be deleted
	StillThere                     // something is there after all was deleted, kept by finalizers for example
	NeverServed                    // the definition was never established
	BuiltInOverlaps                // the objects are those of a built-in kind and stay
)

// MarkDeleted makes of a definition the one that is stored when it is deleted for the first time.
func MarkDeleted(crd *apiextensionsv1.CustomResourceDefinition, now time.Time) {
	if crd.DeletionTimestamp == nil {
		t := metav1.NewTime(now).Rfc3339Copy()
		crd.DeletionTimestamp = &t
	}
	if !slices.Contains(crd.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer) {
		crd.Finalizers = append(slices.Clip(crd.Finalizers), apiextensionsv1.CustomResourceCleanupFinalizer)
	}
	crd.Status.Conditions = slices.Clone(crd.Status.Conditions)
	setCondition(&crd.Status, terminatingAs(apiextensionsv1.ConditionTrue, "InstanceDeletionPending", "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"), now)
}

// Terminating notes in a status how the deletion of the objects went; the cause is that of a failure. It tells
// whether the finalizer can go.
func Terminating(status *apiextensionsv1.CustomResourceDefinitionStatus, how Outcome, cause error, now time.Time) (released bool) {
	yes, no := apiextensionsv1.ConditionTrue, apiextensionsv1.ConditionFalse
	var c apiextensionsv1.CustomResourceDefinitionCondition
	switch how {
	case NotListed:
		c = terminatingAs(yes, "InstanceDeletionFailed", fmt.Sprintf("could not list instances: %v", cause))
	case NotDeleted:
		c = terminatingAs(yes, "InstanceDeletionFailed", fmt.Sprintf("could not issue all deletes: %v", cause))
	case StillThere:
		c = terminatingAs(yes, "InstanceDeletionCheck", fmt.Sprintf("could not confirm zero CustomResources remaining: %v", cause))
	case NeverServed:
		c = terminatingAs(no, "NeverEstablished", "resource was never established")
	case BuiltInOverlaps:
		c = terminatingAs(no, "OverlappingBuiltInResource", "instances overlap with built-in resources in storage")
	default:
		c = terminatingAs(no, "InstanceDeletionCompleted", "removed all instances")
	}
	setCondition(status, c, now)
	return c.Status == no
}

// Released are the finalizers of a definition whose objects are gone.
func Released(crd *apiextensionsv1.CustomResourceDefinition) []string {
	return slices.DeleteFunc(slices.Clone(crd.Finalizers), func(f string) bool { return f == apiextensionsv1.CustomResourceCleanupFinalizer })
}

// terminating says that the objects of a deleted definition are being deleted; nil: they are not, or what is
// said already is more recent.
func terminating(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionCondition {
	if crd.DeletionTimestamp == nil || !slices.Contains(crd.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer) {
		return nil
	}
	if was := condition(&crd.Status, apiextensionsv1.Terminating); was != nil && was.Reason != "InstanceDeletionPending" {
		return nil
	}
	c := terminatingAs(apiextensionsv1.ConditionTrue, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
	return &c
}

func terminatingAs(status apiextensionsv1.ConditionStatus, reason, message string) apiextensionsv1.CustomResourceDefinitionCondition {
	return apiextensionsv1.CustomResourceDefinitionCondition{Type: apiextensionsv1.Terminating, Status: status, Reason: reason, Message: message}
}
