package admission

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// may admits what a test lists, as "user verb name".
type may []string

func (m may) Allowed(_ context.Context, u *auth.User, a Access) bool {
	for _, s := range m {
		if s == u.Name+" "+a.Verb+" "+a.Name || s == u.Name+" "+a.Verb+" "+a.Resource {
			return true
		}
	}
	return false
}

var node = &auth.User{Name: "system:node:n", Groups: []string{"system:nodes", auth.GroupAuthenticated}}

func user(name string) *auth.User { return &auth.User{Name: name} }

// try runs both halves of the chain and returns the refusal.
func try(t *testing.T, c *Chain, a Attributes) string {
	t.Helper()
	o := a.Object
	if o == nil {
		o = a.Old
	}
	if a.Resource == nil {
		a.Resource = all.Of(o)
	}
	if a.Name == "" {
		a.Name, a.Namespace = o.GetName(), o.GetNamespace()
	}
	if a.Warn == nil {
		a.Warn = func(string) {}
	}
	err := c.Admit(t.Context(), &a)
	if err == nil {
		err = c.Validate(t.Context(), &a)
	}
	if err == nil {
		return ""
	}
	_, reason, _ := strings.Cut(err.Error(), " is forbidden: ")
	return reason
}

func mirrorPod(change func(*corev1.Pod)) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "u", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c"}}}}
	if change != nil {
		change(p)
	}
	return p
}

func podOn(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: "pu"}, Spec: corev1.PodSpec{NodeName: node}}
}

func nodeWith(labels map[string]string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
}

func TestNodeRestriction(t *testing.T) {
	k := clienttest.New(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-node-lease"}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u"}}, podOn("mine", "n"), podOn("other", "m"))
	c := NewChain(Config{Reader: k, Authorizer: may{}})
	lease := func(ns, name string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	}
	token := func(pod, audience string) *authenticationv1.TokenRequest {
		r := &authenticationv1.TokenRequest{}
		if pod != "" {
			r.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod, UID: "pu"}
		}
		if audience != "" {
			r.Spec.Audiences = []string{audience}
		}
		return r
	}
	sa := all.For[*corev1.ServiceAccount]()
	status := podOn("mine", "n")
	status.Labels = map[string]string{"a": "b"}
	m := "m"
	for what, x := range map[string]struct {
		a    Attributes
		want string
	}{
		"mirror pod":            {Attributes{Operation: Create, Object: mirrorPod(nil)}, ""},
		"usual pod":             {Attributes{Operation: Create, Object: mirrorPod(func(p *corev1.Pod) { p.Annotations = nil; p.Spec.ServiceAccountName = "none" })}, "error looking up service account a/none"},
		"mirror pod elsewhere":  {Attributes{Operation: Create, Object: mirrorPod(func(p *corev1.Pod) { p.Spec.NodeName = "m" })}, `node "n" can only create pods with spec.nodeName set to itself`},
		"mirror pod of nobody":  {Attributes{Operation: Create, Object: mirrorPod(func(p *corev1.Pod) { p.OwnerReferences = nil })}, `node "n" can only create pods with an owner reference set to itself`},
		"mirror pod of another": {Attributes{Operation: Create, Object: mirrorPod(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "v" })}, `node n UID mismatch: expected v got u`},
		"mirror pod with config": {Attributes{Operation: Create, Object: mirrorPod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
		})}, `node "n" can not create pods that reference configmaps`},
		"own pod goes":         {Attributes{Operation: Delete, Old: podOn("mine", "n")}, ""},
		"other pod goes":       {Attributes{Operation: Delete, Old: podOn("other", "m")}, `node "n" can only delete pods with spec.nodeName set to itself`},
		"pod changes":          {Attributes{Operation: Update, Object: podOn("mine", "n"), Old: podOn("mine", "n")}, `unexpected operation "UPDATE", node "n" can only create and delete mirror pods`},
		"own status":           {Attributes{Operation: Update, Subresource: "status", Object: podOn("mine", "n"), Old: podOn("mine", "n")}, ""},
		"other status":         {Attributes{Operation: Update, Subresource: "status", Object: podOn("other", "m"), Old: podOn("other", "m")}, `node "n" can only update pod status for pods with spec.nodeName set to itself`},
		"labels in status":     {Attributes{Operation: Update, Subresource: "status", Object: status, Old: podOn("mine", "n")}, `node "n" cannot update labels through pod status`},
		"own eviction":         {Attributes{Operation: Create, Subresource: "eviction", Old: podOn("mine", "n")}, ""},
		"other eviction":       {Attributes{Operation: Create, Subresource: "eviction", Old: podOn("other", "m")}, "node n can only evict pods with spec.nodeName set to itself"},
		"binding":              {Attributes{Operation: Update, Subresource: "binding", Object: podOn("mine", "n"), Old: podOn("mine", "")}, "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed"},
		"other node":           {Attributes{Operation: Update, Object: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "m"}}, Old: &corev1.Node{}}, `node "n" is not allowed to modify node "m"`},
		"own labels":           {Attributes{Operation: Create, Object: nodeWith(map[string]string{"kubernetes.io/hostname": "h", "a": "b", "x.node.kubernetes.io/y": "z", "example.com/a": "b"})}, ""},
		"labels of others":     {Attributes{Operation: Create, Object: nodeWith(map[string]string{"node-restriction.kubernetes.io/a": "b", "foo.k8s.io/a": "b"})}, `node "n" is not allowed to set the following labels: foo.k8s.io/a, node-restriction.kubernetes.io/a`},
		"labels taken away":    {Attributes{Operation: Update, Object: nodeWith(nil), Old: nodeWith(map[string]string{"node-restriction.kubernetes.io/a": "b"})}, "is not allowed to modify labels: node-restriction.kubernetes.io/a"},
		"taints":               {Attributes{Operation: Update, Object: nodeWith(nil), Old: nodeWith(nil, corev1.Taint{Key: "a"})}, `node "n" is not allowed to modify taints`},
		"own lease":            {Attributes{Operation: Create, Object: lease("kube-node-lease", "n")}, ""},
		"other lease":          {Attributes{Operation: Update, Object: lease("kube-node-lease", "m"), Old: lease("kube-node-lease", "m")}, "can only access node lease with the same name as the requesting node"},
		"lease of a namespace": {Attributes{Operation: Create, Object: lease("a", "n")}, `can only access leases in the "kube-node-lease" system namespace`},
		"CSINode":              {Attributes{Operation: Create, Object: &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "m"}}}, "can only access CSINode with the same name as the requesting node"},
		"slice":                {Attributes{Operation: Create, Object: &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: resourcev1.ResourceSliceSpec{NodeName: &m}}}, "can only create ResourceSlice with the same NodeName as the requesting node"},
		"claim":                {Attributes{Operation: Update, Object: &corev1.PersistentVolumeClaim{}, Old: &corev1.PersistentVolumeClaim{}, Name: "c", Namespace: "a"}, "may only update PVC status"},
		"token of no pod":      {Attributes{Operation: Create, Resource: sa, Subresource: "token", Namespace: "a", Name: "s", Object: token("", "")}, "node requested token not bound to a pod"},
		"token of another pod": {Attributes{Operation: Create, Resource: sa, Subresource: "token", Namespace: "a", Name: "s", Object: token("other", "")}, "node requested token bound to a pod scheduled on a different node"},
		"token of an audience": {Attributes{Operation: Create, Resource: sa, Subresource: "token", Namespace: "a", Name: "s", Object: token("mine", "x")}, `audience "x" not found in pod spec volume`},
		"own certificate":      {Attributes{Operation: Create, Object: request(t, certificatesv1.KubeletServingSignerName, "system:node:n")}, ""},
		"other certificate":    {Attributes{Operation: Create, Object: request(t, certificatesv1.KubeletServingSignerName, "system:node:m")}, "can only create a node CSR with CN=system:node:n"},
	} {
		t.Run(what, func(t *testing.T) {
			x.a.User = node
			if got := try(t, c, x.a); got != x.want && (x.want == "" || !strings.HasPrefix(got, x.want)) {
				t.Errorf("%q, want %q", got, x.want)
			}
			// Nobody else is restricted so.
			x.a.User = user("somebody")
			if got := try(t, c, x.a); strings.Contains(got, "node") && got != "" {
				t.Errorf("somebody: %q", got)
			}
		})
	}
}

func request(t *testing.T, signer, name string, groups ...string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: groups}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: signer, Username: "pretender", Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}}
}

func TestCertificates(t *testing.T) {
	c := NewChain(Config{Reader: clienttest.New(), Authorizer: may{"anne approve example.com/*", "sam sign example.com/s", "tom attest example.com/s"}})
	r := request(t, "example.com/s", "x")
	signed := r.DeepCopy()
	signed.Status.Certificate = []byte("x")
	bundle := &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: "example.com/s"}}
	for what, x := range map[string]struct {
		a    Attributes
		want string
	}{
		"approve by domain":  {Attributes{Operation: Update, Subresource: "approval", User: user("anne"), Object: r, Old: r}, ""},
		"approve":            {Attributes{Operation: Update, Subresource: "approval", User: user("sam"), Object: r, Old: r}, `user not permitted to approve requests with signerName "example.com/s"`},
		"sign":               {Attributes{Operation: Update, Subresource: "status", User: user("sam"), Object: signed, Old: r}, ""},
		"sign as another":    {Attributes{Operation: Update, Subresource: "status", User: user("anne"), Object: signed, Old: r}, `user not permitted to sign requests with signerName "example.com/s"`},
		"status without it":  {Attributes{Operation: Update, Subresource: "status", User: user("anne"), Object: r, Old: r}, ""},
		"attest":             {Attributes{Operation: Create, User: user("tom"), Object: bundle}, ""},
		"attest as another":  {Attributes{Operation: Create, User: user("sam"), Object: bundle}, `user not permitted to attest for signerName "example.com/s"`},
		"administrator":      {Attributes{Operation: Create, User: user("x"), Object: request(t, certificatesv1.KubeAPIServerClientSignerName, "x", "system:masters")}, "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"},
		"client certificate": {Attributes{Operation: Create, User: user("x"), Object: request(t, certificatesv1.KubeAPIServerClientSignerName, "x", "dev")}, ""},
	} {
		if got := try(t, c, x.a); got != x.want {
			t.Errorf("%s: %q, want %q", what, got, x.want)
		}
	}
	mine := request(t, "example.com/s", "x")
	u := &auth.User{Name: "anne", UID: "1", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}}
	if got := try(t, c, Attributes{Operation: Create, User: u, Object: mine}); got != "" {
		t.Error(got)
	}
	if s := mine.Spec; s.Username != "anne" || s.UID != "1" || s.Groups[0] != "g" || s.Extra["k"][0] != "v" {
		t.Errorf("%+v", s)
	}
}

func TestStorage(t *testing.T) {
	yes, grows, fixed := true, "grows", "fixed"
	class := func(name string, age time.Duration, more *bool) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age)),
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}}, AllowVolumeExpansion: more}
	}
	k := clienttest.New(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, class("grows", time.Hour, &yes), class("fixed", time.Minute, nil), class("z", time.Minute, nil))
	c := NewChain(Config{Reader: k})
	claim := func(class *string, size string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
		p := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Status: corev1.PersistentVolumeClaimStatus{Phase: phase}}
		p.Spec.StorageClassName = class
		p.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
		return p
	}
	fresh := claim(nil, "1Gi", "")
	for range 2 { // a write that lost a race passes again
		if got := try(t, c, Attributes{Operation: Create, User: user("x"), Object: fresh}); got != "" {
			t.Error(got)
		}
	}
	if *fresh.Spec.StorageClassName != "fixed" || len(fresh.Finalizers) != 1 || fresh.Finalizers[0] != pvcProtection {
		t.Errorf("%+v", fresh)
	}
	const unable = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
	for what, x := range map[string]struct {
		next, old *corev1.PersistentVolumeClaim
		want      string
	}{
		"same":    {claim(&fixed, "1Gi", ""), claim(&fixed, "1Gi", ""), ""},
		"unbound": {claim(&grows, "2Gi", ""), claim(&grows, "1Gi", corev1.ClaimPending), "Only bound persistent volume claims can be expanded"},
		"grows":   {claim(&grows, "2Gi", ""), claim(&grows, "1Gi", corev1.ClaimBound), ""},
		"fixed":   {claim(&fixed, "2Gi", ""), claim(&fixed, "1Gi", corev1.ClaimBound), unable},
		"static":  {claim(nil, "2Gi", ""), claim(nil, "1Gi", corev1.ClaimBound), unable},
	} {
		if got := try(t, c, Attributes{Operation: Update, User: user("x"), Object: x.next, Old: x.old}); got != x.want {
			t.Errorf("%s: %q, want %q", what, got, x.want)
		}
	}
}

// TestNothingRuns: kinds that no plugin is about pass through one of them, that for namespaces.
func TestNothingRuns(t *testing.T) {
	c := NewChain(Config{Reader: clienttest.New()})
	for _, o := range []api.Object{&corev1.ConfigMap{}, &corev1.Secret{}, &corev1.Service{}} {
		for op, want := range map[Operation]int{Create: 1, Update: 0, Delete: 0} {
			s := c.find(&Attributes{Operation: op, Resource: all.Of(o)})
			if len(s.admit) != want || len(s.validate) != 0 {
				t.Errorf("%s %T: %d and %d", op, o, len(s.admit), len(s.validate))
			}
		}
	}
}
