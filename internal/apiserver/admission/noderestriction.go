package admission

import (
	"context"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// nodeRestriction keeps a node to what is its own: its Node, its lease and
// CSINode, the pods bound to it. Whoever is not a node is not looked at.
//
// What a node may do with pods and tokens is in noderestriction_pod.go.
type nodeRestriction struct {
	c          client.Reader
	authorizer Authorizer
}

const (
	groupNodes = "system:nodes"
	nodePrefix = "system:node:"
)

// nodeOf tells whether a user is a node, and which.
func nodeOf(u *auth.User) (name string, node bool) {
	if u == nil || !u.In(groupNodes) {
		return "", false
	}
	name, ok := strings.CutPrefix(u.Name, nodePrefix)
	return name, ok
}

// only runs the check for nodes.
func (p nodeRestriction) only(check func(ctx context.Context, node string, a *Attributes) error) step {
	return func(ctx context.Context, a *Attributes) error {
		node, ok := nodeOf(a.User)
		switch {
		case !ok:
			return nil
		case node == "":
			return a.forbidden("could not determine node from user %q", a.User.Name)
		}
		return check(ctx, node, a)
	}
}

func (p nodeRestriction) node(_ context.Context, node string, a *Attributes) error {
	if a.Name != node {
		return a.forbidden("node %q is not allowed to modify node %q", node, a.Name)
	}
	n, _ := a.Object.(*corev1.Node)
	switch a.Operation {
	case Create:
		if len(n.OwnerReferences) > 0 {
			return a.forbidden("node %q is not allowed to set owner references", node)
		}
		if bad := forbiddenLabels(n.Labels, nil); len(bad) > 0 {
			return a.forbidden("node %q is not allowed to set the following labels: %s", node, strings.Join(bad, ", "))
		}
	case Update:
		old := a.Old.(*corev1.Node)
		// A node that changed its taints or labels could draw pods to itself.
		if !equality.Semantic.DeepEqual(n.Spec.Taints, old.Spec.Taints) {
			return a.forbidden("node %q is not allowed to modify taints", node)
		}
		if bad := forbiddenLabels(n.Labels, old.Labels); len(bad) > 0 {
			return a.forbidden("is not allowed to modify labels: %s", strings.Join(bad, ", "))
		}
		// With an owner that is not there, a node would have itself deleted.
		if !equality.Semantic.DeepEqual(n.OwnerReferences, old.OwnerReferences) {
			return a.forbidden("node %q is not allowed to modify owner references", node)
		}
	}
	return nil
}

// ownLabels are those below kubernetes.io that a node knows about itself.
var ownLabels = []string{
	corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	corev1.LabelInstanceType, corev1.LabelInstanceTypeStable, corev1.LabelOSStable, corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
}

// ownLabelNamespaces are wholly a node's to set.
var ownLabelNamespaces = []string{"kubelet.kubernetes.io", "node.kubernetes.io"}

// forbiddenLabels are the labels that differ and are not a node's to set.
func forbiddenLabels(next, old map[string]string) []string {
	var out []string
	note := func(k string) {
		ns, _, ok := strings.Cut(k, "/")
		below := func(d string) bool { return ns == d || strings.HasSuffix(ns, "."+d) }
		switch {
		case !ok, !below("kubernetes.io") && !below("k8s.io"):
		case slices.Contains(ownLabels, k) || slices.ContainsFunc(ownLabelNamespaces, below):
		default:
			out = append(out, k)
		}
	}
	for k, v := range next {
		if was, ok := old[k]; !ok || was != v {
			note(k)
		}
	}
	for k := range old {
		if _, ok := next[k]; !ok {
			note(k)
		}
	}
	slices.Sort(out)
	return out
}

func (p nodeRestriction) lease(_ context.Context, node string, a *Attributes) error {
	if a.Namespace != corev1.NamespaceNodeLease {
		return a.forbidden("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	}
	if a.Name != node {
		return a.forbidden("can only access node lease with the same name as the requesting node")
	}
	return nil
}

func (p nodeRestriction) csiNode(_ context.Context, node string, a *Attributes) error {
	if a.Name != node {
		return a.forbidden("can only access CSINode with the same name as the requesting node")
	}
	return nil
}

func (p nodeRestriction) slice(_ context.Context, node string, a *Attributes) error {
	o, verb := a.Object, "create"
	if a.Operation == Delete {
		o, verb = a.Old, "delete"
	}
	s := o.(*resourcev1.ResourceSlice)
	if s.Spec.NodeName == nil || *s.Spec.NodeName != node {
		return a.forbidden("can only %s ResourceSlice with the same NodeName as the requesting node", verb)
	}
	return nil
}

// claimStatus: what a node tells of a volume that it has grown, and nothing else.
func (p nodeRestriction) claimStatus(_ context.Context, node string, a *Attributes) error {
	trim := func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
		c := o.DeepCopy()
		c.ManagedFields = nil
		c.Status.Capacity, c.Status.Conditions = nil, nil
		c.Status.AllocatedResourceStatuses, c.Status.AllocatedResources = nil, nil
		return c
	}
	if !equality.Semantic.DeepEqual(trim(a.Object.(*corev1.PersistentVolumeClaim)), trim(a.Old.(*corev1.PersistentVolumeClaim))) {
		return a.forbidden("node %q is not allowed to update fields other than status.quantity and status.conditions", node)
	}
	return nil
}

func (p nodeRestriction) claim(_ context.Context, _ string, a *Attributes) error {
	return a.forbidden("may only update PVC status")
}

// certificate: the signers for nodes give a node certificates of its own name only.
func (p nodeRestriction) certificate(_ context.Context, node string, a *Attributes) error {
	s := &a.Object.(*certificatesv1.CertificateSigningRequest).Spec
	if s.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName && s.SignerName != certificatesv1.KubeletServingSignerName {
		return nil
	}
	r, err := parseRequest(s.Request)
	if err != nil {
		return a.forbidden("unable to parse csr: %v", err)
	}
	if r.Subject.CommonName != nodePrefix+node {
		return a.forbidden("can only create a node CSR with CN=%s", nodePrefix+node)
	}
	return nil
}

// podCertificate: a node asks for certificates of the pods that run on it.
func (p nodeRestriction) podCertificate(ctx context.Context, node string, a *Attributes) error {
	s := &a.Object.(*certificatesv1.PodCertificateRequest).Spec
	if string(s.NodeName) != node {
		return a.forbidden("PodCertificateRequest.Spec.NodeName=%q, which is not the requesting node %q", s.NodeName, node)
	}
	n, err := client.Get[*corev1.Node](ctx, p.c, "", node)
	if err != nil {
		return err
	}
	if n.UID != s.NodeUID {
		return a.forbidden("PodCertificateRequest for pod %q names node UID %q, inconsistent with the running node (%q)", s.PodName, s.NodeUID, n.UID)
	}
	pod, err := client.Get[*corev1.Pod](ctx, p.c, a.Namespace, s.PodName)
	if err != nil {
		return a.forbidden("while retrieving pod %q named in the PodCertificateRequest: %w", s.PodName, err)
	}
	switch {
	case pod.UID != s.PodUID:
		return a.forbidden("PodCertificateRequest for pod %q contains pod UID (%q) which differs from running pod %q", s.PodName, s.PodUID, pod.UID)
	case pod.Spec.NodeName != node:
		return a.forbidden("pod %q is not running on node %q named in the PodCertificateRequest", s.PodName, node)
	case isMirror(pod):
		return a.forbidden("pod %q is a mirror pod", s.PodName)
	case pod.Spec.ServiceAccountName != s.ServiceAccountName:
		return a.forbidden("PodCertificateRequest for pod %q contains serviceAccountName (%q) that differs from running pod (%q)", s.PodName, s.ServiceAccountName, pod.Spec.ServiceAccountName)
	}
	return nil
}
