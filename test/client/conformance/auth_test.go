package conformance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// authorized skips a test until the server decides by roles and lets an administrator act as another.
func (t *T) authorized() {
	t.Helper()
	if _, err := t.c.RbacV1().ClusterRoleBindings().Get(t.ctx, "system:basic-user", metav1.GetOptions{}); apierrors.IsNotFound(err) {
		t.Skip("the server has no roles yet")
	}
}

// as is a client of somebody else.
func as(t *T, user string, groups ...string) kubernetes.Interface {
	t.Helper()
	c := rest.CopyConfig(config)
	c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	other, err := kubernetes.NewForConfig(c)
	t.ok(err)
	return other
}

func TestServiceAccounts(t *testing.T) {
	account := func(t *T, name string, mount *bool) *corev1.ServiceAccount {
		t.Helper()
		sa, err := t.c.CoreV1().ServiceAccounts(t.ns).Create(t.ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}, AutomountServiceAccountToken: mount}, metav1.CreateOptions{})
		t.ok(err)
		return sa
	}
	conform(t, "[sig-auth] ServiceAccounts should update a ServiceAccount", func(t *T) {
		account(t, "a", ptr(false))
		sa := change(t, t.c.CoreV1().ServiceAccounts(t.ns), "a", func(sa *corev1.ServiceAccount) { sa.AutomountServiceAccountToken = ptr(true) })
		t.want(*sa.AutomountServiceAccountToken, "%+v", sa)
	})
	conform(t, "[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace", func(t *T) {
		api := t.c.CoreV1().ConfigMaps(t.ns)
		var cm *corev1.ConfigMap
		there := func() bool {
			got, err := api.Get(t.ctx, "kube-root-ca.crt", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false
			}
			t.ok(err)
			again := cm != nil && got.UID != cm.UID
			if cm == nil || again {
				cm = got
			}
			return strings.Contains(got.Data["ca.crt"], "BEGIN CERTIFICATE") && len(got.Data) == 1
		}
		t.eventually("it is published", there)
		first := cm.UID
		t.ok(api.Delete(t.ctx, cm.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(0))}))
		t.eventually("it is published again", func() bool { return there() && cm.UID != first })
		_, err := api.Update(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: cm.Name}, Data: map[string]string{"ca.crt": ""}}, metav1.UpdateOptions{})
		t.ok(err)
		t.eventually("it is mended", there)
	})
	conform(t, "[sig-auth] ServiceAccounts should allow opting out of API token automount", func(t *T) {
		account(t, "default-mount", nil)
		account(t, "mount", ptr(true))
		account(t, "nomount", ptr(false))
		for _, c := range []struct {
			account string
			pod     *bool
			mounted bool
		}{
			{"default-mount", nil, true}, {"mount", nil, true}, {"nomount", nil, false},
			{"default-mount", ptr(true), true}, {"mount", ptr(true), true}, {"nomount", ptr(true), true},
			{"default-mount", ptr(false), false}, {"mount", ptr(false), false}, {"nomount", ptr(false), false},
		} {
			p := pod(name("pod"), t.ns)
			p.Spec.ServiceAccountName, p.Spec.AutomountServiceAccountToken = c.account, c.pod
			p, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
			t.ok(err)
			is := slices.ContainsFunc(p.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount"
			})
			t.want(is == c.mounted, "%s with %v: mounted is %v", c.account, c.pod, is)
		}
	})
	conform(t, "[sig-auth] ServiceAccounts should give tokens that authenticate", func(t *T) {
		sa := account(t, "a", nil)
		api := t.c.CoreV1().ServiceAccounts(t.ns)
		answer, err := api.CreateToken(t.ctx, "a", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr(int64(600))}}, metav1.CreateOptions{})
		t.ok(err)
		t.want(answer.Status.Token != "" && !answer.Status.ExpirationTimestamp.IsZero(), "%+v", answer.Status)
		review, err := t.c.AuthenticationV1().TokenReviews().Create(t.ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: answer.Status.Token}}, metav1.CreateOptions{})
		t.ok(err)
		u := review.Status.User
		t.want(review.Status.Authenticated && u.Username == "system:serviceaccount:"+t.ns+":a" && u.UID == string(sa.UID) && slices.Contains(u.Groups, "system:serviceaccounts:"+t.ns), "%+v", review.Status)
		_, err = api.CreateToken(t.ctx, "a", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr(int64(5))}}, metav1.CreateOptions{})
		t.refused(err, apierrors.IsInvalid)
		t.ok(api.Delete(t.ctx, "a", metav1.DeleteOptions{}))
		t.eventually("the token of a deleted account is worth nothing", func() bool {
			review, err := t.c.AuthenticationV1().TokenReviews().Create(t.ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: answer.Status.Token}}, metav1.CreateOptions{})
			t.ok(err)
			return !review.Status.Authenticated
		})
	})
	conform(t, "[sig-auth] SelfSubjectReview should tell an account who it is", func(t *T) {
		t.authorized()
		account(t, "a", nil)
		answer, err := t.c.CoreV1().ServiceAccounts(t.ns).CreateToken(t.ctx, "a", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		t.ok(err)
		c := rest.AnonymousClientConfig(config)
		c.BearerToken = answer.Status.Token
		self, err := kubernetes.NewForConfigOrDie(c).AuthenticationV1().SelfSubjectReviews().Create(t.ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		t.ok(err)
		t.want(self.Status.UserInfo.Username == "system:serviceaccount:"+t.ns+":a", "%+v", self.Status)
	})
	conform(t, "[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer", func(t *T) {
		// Any account may ask, as the group of all accounts.
		c := as(t, "system:serviceaccount:"+t.ns+":default", "system:serviceaccounts", "system:authenticated")
		b, err := c.Discovery().RESTClient().Get().AbsPath("/.well-known/openid-configuration").Do(t.ctx).Raw()
		t.ok(err)
		var document struct {
			Issuer string
			Jwks   string   `json:"jwks_uri"`
			Algs   []string `json:"id_token_signing_alg_values_supported"`
			Types  []string `json:"response_types_supported"`
		}
		t.ok(json.Unmarshal(b, &document))
		t.want(strings.HasPrefix(document.Issuer, "https://") && strings.HasSuffix(document.Jwks, "/openid/v1/jwks") && len(document.Algs) > 0 && slices.Contains(document.Types, "id_token"), "%s", b)
		b, err = c.Discovery().RESTClient().Get().AbsPath("/openid/v1/jwks").SetHeader("Accept", "application/jwk-set+json").Do(t.ctx).Raw()
		t.ok(err)
		var keys struct{ Keys []map[string]any }
		t.ok(json.Unmarshal(b, &keys))
		t.want(len(keys.Keys) > 0 && keys.Keys[0]["use"] == "sig", "%s", b)
	})
}

func TestReviews(t *testing.T) {
	conform(t, "[sig-auth] SubjectReview should support SubjectReview API operations", func(t *T) {
		user := "system:serviceaccount:" + t.ns + ":e2e"
		t.authorized()
		_, err := as(t, user).CoreV1().ConfigMaps(t.ns).List(t.ctx, metav1.ListOptions{})
		t.refused(err, apierrors.IsForbidden, `User "`+user+`" cannot list resource "configmaps" in API group "" in the namespace "`+t.ns+`"`)
		spec := authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "configmaps", Namespace: t.ns, Version: "v1"}}
		review, err := t.c.AuthorizationV1().SubjectAccessReviews().Create(t.ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
		t.ok(err)
		t.want(!review.Status.Allowed, "%+v", review.Status)
		local, err := t.c.AuthorizationV1().LocalSubjectAccessReviews(t.ns).Create(t.ctx, &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: t.ns}, Spec: spec}, metav1.CreateOptions{})
		t.ok(err)
		t.want(!local.Status.Allowed, "%+v", local.Status)
		rules, err := t.c.AuthorizationV1().SelfSubjectRulesReviews().Create(t.ctx, &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: t.ns}}, metav1.CreateOptions{})
		t.ok(err)
		t.want(len(rules.Status.ResourceRules) > 0, "%+v", rules.Status)
	})
}

func TestCertificates(t *testing.T) {
	conform(t, "[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations", func(t *T) {
		api := t.c.CertificatesV1().CertificateSigningRequests()
		r, err := api.Create(t.ctx, &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-example-csr-"}, Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: signingRequest("e2e.example.com"), SignerName: "example.com/e2e-" + t.ns, ExpirationSeconds: ptr(int32(3600)), Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageServerAuth}}}, metav1.CreateOptions{})
		t.ok(err)
		t.want(r.Spec.Username != "" && len(r.Spec.Groups) > 0, "%+v", r.Spec)
		list, err := api.List(t.ctx, metav1.ListOptions{FieldSelector: "spec.signerName=example.com/e2e-" + t.ns})
		t.ok(err)
		t.want(len(list.Items) == 1, "%d requests", len(list.Items))
		r, err = api.Patch(t.ctx, r.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patchedapproval":"true"}},"status":{"conditions":[{"type":"ApprovalPatch","status":"True","reason":"e2e"}]}}`), metav1.PatchOptions{}, "approval")
		t.ok(err)
		t.want(len(r.Status.Conditions) == 1 && r.Annotations["patchedapproval"] == "true", "%+v", r)
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "E2E", Message: "Set from an e2e test"})
		r, err = api.UpdateApproval(t.ctx, r.Name, r, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(r.Status.Conditions) == 2, "%+v", r.Status)
		certificate := "eyJub3QiOiJhIGNlcnRpZmljYXRlIn0="
		_, err = api.Patch(t.ctx, r.Name, types.MergePatchType, []byte(`{"status":{"certificate":"`+certificate+`"}}`), metav1.PatchOptions{}, "status")
		t.refused(err, apierrors.IsInvalid)
		r, err = api.Patch(t.ctx, r.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"certificate":`+caBundle(t)+`}}`), metav1.PatchOptions{}, "status")
		t.ok(err)
		t.want(len(r.Status.Certificate) > 0 && r.Annotations["patchedstatus"] == "true", "%+v", r)
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: "StatusUpdate", Status: corev1.ConditionTrue, Reason: "E2E"})
		r, err = api.UpdateStatus(t.ctx, r, metav1.UpdateOptions{})
		t.ok(err)
		t.want(len(r.Status.Conditions) == 3, "%+v", r.Status)
		for _, sub := range []string{"approval", "status"} {
			got := &certificatesv1.CertificateSigningRequest{}
			t.ok(t.c.CertificatesV1().RESTClient().Get().Resource("certificatesigningrequests").Name(r.Name).SubResource(sub).Do(t.ctx).Into(got))
			t.want(got.UID == r.UID, "%s: %+v", sub, got)
		}
		t.ok(api.Delete(t.ctx, r.Name, metav1.DeleteOptions{}))
	})
}

// caBundle is some certificate as the API has it in JSON: the server's own authority.
func caBundle(t *T) string {
	t.Helper()
	cm, err := t.c.CoreV1().ConfigMaps("kube-system").Get(t.ctx, "kube-root-ca.crt", metav1.GetOptions{})
	t.ok(err)
	b, err := json.Marshal([]byte(cm.Data["ca.crt"]))
	t.ok(err)
	return string(b)
}
