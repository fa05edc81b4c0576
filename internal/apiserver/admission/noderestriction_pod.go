package admission

import (
	"context"
	"maps"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/client"
)

func (p nodeRestriction) pod(ctx context.Context, node string, a *Attributes) error {
	switch a.Operation {
	case Create:
		return p.mirror(ctx, node, a)
	case Delete:
		if a.Old.(*corev1.Pod).Spec.NodeName != node {
			return a.forbidden("node %q can only delete pods with spec.nodeName set to itself", node)
		}
		return nil
	}
	return a.forbidden("unexpected operation %q, node %q can only create and delete mirror pods", a.Operation, node)
}

// mirror: the only pods that a node makes show what it runs by itself. They are owned by the node and use nothing of the API.
func (p nodeRestriction) mirror(ctx context.Context, node string, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	if !isMirror(pod) {
		return a.forbidden("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, node)
	}
	if pod.Spec.NodeName != node {
		return a.forbidden("node %q can only create pods with spec.nodeName set to itself", node)
	}
	if err := p.mirrorOwner(ctx, node, a, pod); err != nil {
		return err
	}
	switch {
	case pod.Spec.ServiceAccountName != "":
		return a.forbidden("node %q can not create pods that reference a service account", node)
	case usesSecret(&pod.Spec):
		return a.forbidden("node %q can not create pods that reference secrets", node)
	case usesConfigMap(&pod.Spec):
		return a.forbidden("node %q can not create pods that reference configmaps", node)
	}
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			return a.forbidden("node %q can not create pods that reference persistentvolumeclaims", node)
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ClusterTrustBundle != nil {
				return a.forbidden("node %q can not create pods that reference clustertrustbundles", node)
			}
		}
	}
	if len(pod.Spec.ResourceClaims) > 0 {
		return a.forbidden("node %q can not create pods that reference resourceclaims", node)
	}
	return nil
}

func (p nodeRestriction) mirrorOwner(ctx context.Context, node string, a *Attributes, pod *corev1.Pod) error {
	if len(pod.OwnerReferences) > 1 {
		return a.forbidden("node %q can only create pods with a single owner reference set to itself", node)
	}
	if len(pod.OwnerReferences) == 0 {
		return a.forbidden("node %q can only create pods with an owner reference set to itself", node)
	}
	owner := pod.OwnerReferences[0]
	if owner.APIVersion != "v1" || owner.Kind != "Node" || owner.Name != node {
		return a.forbidden("node %q can only create pods with an owner reference set to itself", node)
	}
	if owner.Controller == nil || !*owner.Controller {
		return a.forbidden("node %q can only create pods with a controller owner reference set to itself", node)
	}
	if owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion {
		return a.forbidden("node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	n, err := client.Get[*corev1.Node](ctx, p.c, "", node)
	if err != nil {
		return err
	}
	if owner.UID != n.UID {
		return a.forbidden("node %s UID mismatch: expected %s got %s", node, owner.UID, n.UID)
	}
	return nil
}

func (p nodeRestriction) podStatus(_ context.Context, node string, a *Attributes) error {
	pod, old := a.Object.(*corev1.Pod), a.Old.(*corev1.Pod)
	switch {
	case old.Spec.NodeName != node:
		return a.forbidden("node %q can only update pod status for pods with spec.nodeName set to itself", node)
	case !maps.Equal(pod.Labels, old.Labels):
		return a.forbidden("node %q cannot update labels through pod status", node)
	case !equality.Semantic.DeepEqual(pod.Status.ResourceClaimStatuses, old.Status.ResourceClaimStatuses):
		return a.forbidden("node %q cannot update resource claim statuses", node)
	case !equality.Semantic.DeepEqual(pod.Status.ExtendedResourceClaimStatus, old.Status.ExtendedResourceClaimStatus):
		return a.forbidden("node %q cannot update extended resource claim status", node)
	}
	return nil
}

// podOther refuses the subresources that a node has no business with.
func (p nodeRestriction) podOther(_ context.Context, _ string, a *Attributes) error {
	return a.forbidden("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", a.Subresource)
}

// eviction sees the pod as Old.
func (p nodeRestriction) eviction(_ context.Context, node string, a *Attributes) error {
	if pod, ok := a.Old.(*corev1.Pod); !ok || pod.Spec.NodeName != node {
		return a.forbidden("node %s can only evict pods with spec.nodeName set to itself", node)
	}
	return nil
}

// token: a node asks for tokens of the pods that it runs, for audiences that these pods mount.
func (p nodeRestriction) token(ctx context.Context, node string, a *Attributes) error {
	t := a.Object.(*authenticationv1.TokenRequest)
	ref := t.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return a.forbidden("node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return a.forbidden("node requested token with a pod binding without a uid")
	}
	pod, err := client.Get[*corev1.Pod](ctx, p.c, a.Namespace, ref.Name)
	if apierrors.IsNotFound(err) {
		return err
	}
	if err != nil {
		return a.refuse(err)
	}
	if pod.UID != ref.UID {
		return a.forbidden("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != node {
		return a.forbidden("node requested token bound to a pod scheduled on a different node")
	}
	if len(t.Spec.Audiences) > 1 {
		return a.forbidden("node may only request 0 or 1 audiences")
	}
	audience := ""
	if len(t.Spec.Audiences) == 1 {
		audience = t.Spec.Audiences[0]
	}
	if p.mounts(ctx, pod, audience) {
		return nil
	}
	ask := Access{Verb: "request-serviceaccounts-token-audience", Resource: audience, Name: a.Name, Namespace: a.Namespace}
	if audience != "" && p.authorizer.Allowed(ctx, a.User, ask) {
		return nil
	}
	return a.forbidden("audience %q not found in pod spec volume", audience)
}

// mounts tells whether the pod mounts a token for the audience, by itself or through a CSI driver.
func (p nodeRestriction) mounts(ctx context.Context, pod *corev1.Pod, audience string) bool {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience {
					return true
				}
			}
			continue
		}
		driver, err := client.Get[*storagev1.CSIDriver](ctx, p.c, "", p.driver(ctx, pod, v))
		if err != nil {
			continue
		}
		for _, r := range driver.Spec.TokenRequests {
			if r.Audience == audience {
				return true
			}
		}
	}
	return false
}

// driver is the name of the CSI driver that a volume is of; empty when there is none.
func (p nodeRestriction) driver(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) string {
	claim := ""
	switch {
	case v.CSI != nil:
		return v.CSI.Driver
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		claim = pod.Name + "-" + v.Name
	default:
		return ""
	}
	c, err := client.Get[*corev1.PersistentVolumeClaim](ctx, p.c, pod.Namespace, claim)
	if err != nil || c.Spec.VolumeName == "" {
		return ""
	}
	pv, err := client.Get[*corev1.PersistentVolume](ctx, p.c, "", c.Spec.VolumeName)
	if err != nil || pv.Spec.CSI == nil {
		return ""
	}
	return pv.Spec.CSI.Driver
}
