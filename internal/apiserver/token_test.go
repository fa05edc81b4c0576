package apiserver

import (
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// TestTokenBinding: what tokens may be bound to, what they tell, and that they end with it.
func TestTokenBinding(t *testing.T) {
	b, ctx := besiege(t), t.Context()
	c := b.Client(auth.System)
	if _, err := client.Create(ctx, c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	node, err := client.Create(ctx, c, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(ctx, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	for name, account := range map[string]string{"mine": "a", "other": "default"} {
		if _, err := client.Create(ctx, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			Spec: corev1.PodSpec{NodeName: "n", ServiceAccountName: account, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	bound := func(kind, name, uid string) (*auth.Claims, string, error) {
		req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: kind, APIVersion: "v1", Name: name, UID: types.UID(uid)}}}
		if err := b.TokenRequest(ctx, "default", "a", req); err != nil {
			return nil, "", err
		}
		claims, err := b.Tokens.Verify(req.Status.Token)
		return claims, req.Status.Token, err
	}
	for _, w := range []struct{ kind, name, uid, want string }{
		{"Pod", "other", "", "cannot bind token for serviceaccount \"a\" to pod running with different serviceaccount name."},
		{"Pod", "none", "", "pods \"none\" not found"},
		{"Node", "none", "", "nodes \"none\" not found"},
		{"Node", "", "", "Name parameter required."},
		{"Node", "n", "x", "Operation cannot be fulfilled on Node \"n\": the UID in the bound object reference (x) does not match the UID in record."},
		{"ConfigMap", "n", "", "cannot bind token for serviceaccount \"a\" to type /v1, Kind=ConfigMap"},
	} {
		if _, _, err := bound(w.kind, w.name, w.uid); err == nil || !strings.Contains(err.Error(), w.want) {
			t.Errorf("%s %q: %v, want %s", w.kind, w.name, err, w.want)
		}
	}
	claims, _, err := bound("Pod", "mine", "")
	if err != nil || claims.Kubernetes.Node == nil || claims.Kubernetes.Node.Name != "n" || claims.Kubernetes.Node.UID != string(node.UID) {
		t.Errorf("the token of a pod tells its node: %+v %v", claims, err)
	}
	for _, w := range []struct{ kind, name, ns string }{{"Node", "n", ""}, {"Secret", "s", "default"}} {
		_, token, err := bound(w.kind, w.name, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.tokenUser(ctx, token); err != nil {
			t.Errorf("%s: %v", w.kind, err)
		}
		row := all.For[*corev1.Node]()
		if w.kind == "Secret" {
			row = all.For[*corev1.Secret]()
		}
		if err := c.Delete(ctx, row, w.ns, w.name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.tokenUser(ctx, token); err == nil {
			t.Errorf("%s: the token outlives what it is bound to", w.kind)
		}
	}
}
