package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/admission"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// tokenUser is the service account that a token speaks for, if it and what the token is bound to still exist.
func (s *Server) tokenUser(ctx context.Context, token string) (*auth.User, error) {
	if s.Tokens == nil {
		return nil, auth.ErrNotOurs
	}
	c, err := s.Tokens.Verify(token)
	if err != nil {
		return nil, err
	}
	return c.User(), s.stillBound(ctx, c)
}

func (s *Server) stillBound(ctx context.Context, c *auth.Claims) error {
	k := &c.Kubernetes
	l := s.Client(auth.System)
	sa, err := client.Get[*corev1.ServiceAccount](ctx, l, k.Namespace, k.ServiceAccount.Name)
	if err != nil {
		return err
	}
	if string(sa.UID) != k.ServiceAccount.UID {
		return errors.New("the service account was replaced by another of the same name")
	}
	if k.Secret != nil {
		secret, err := client.Get[*corev1.Secret](ctx, l, k.Namespace, k.Secret.Name)
		if err != nil {
			return err
		}
		if string(secret.UID) != k.Secret.UID {
			return errors.New("the secret was replaced by another of the same name")
		}
	}
	if k.Pod == nil {
		if k.Node == nil {
			return nil
		}
		node, err := client.Get[*corev1.Node](ctx, l, "", k.Node.Name)
		if err == nil && string(node.UID) != k.Node.UID {
			err = errors.New("the node was replaced by another of the same name")
		}
		return err
	}
	pod, err := client.Get[*corev1.Pod](ctx, l, k.Namespace, k.Pod.Name)
	if err != nil {
		return err
	}
	if string(pod.UID) != k.Pod.UID {
		return errors.New("the pod was replaced by another of the same name")
	}
	return nil
}

// TokenRequest issues a token for a service account, bound to a pod or a secret if asked.
func (s *Server) TokenRequest(ctx context.Context, ns, name string, req *authenticationv1.TokenRequest) error {
	sa, err := client.Get[*corev1.ServiceAccount](ctx, s.Client(auth.System), ns, name)
	if err != nil {
		return err
	}
	kind := authenticationv1.SchemeGroupVersion.WithKind("TokenRequest").GroupKind()
	if req.Spec.ExpirationSeconds == nil {
		hour := int64(3600)
		req.Spec.ExpirationSeconds = &hour
	}
	seconds := *req.Spec.ExpirationSeconds
	path := field.NewPath("spec", "expirationSeconds")
	switch {
	case seconds < 600:
		return apierrors.NewInvalid(kind, "", field.ErrorList{field.Invalid(path, seconds, "may not specify a duration less than 10 minutes")})
	case seconds > 1<<32:
		return apierrors.NewInvalid(kind, "", field.ErrorList{field.Invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")})
	}
	var c auth.Claims
	c.Kubernetes.Namespace = ns
	c.Kubernetes.ServiceAccount = auth.BoundObject{Name: name, UID: string(sa.UID)}
	if ref := req.Spec.BoundObjectRef; ref != nil {
		if err := s.bindToken(ctx, ns, ref, &c); err != nil {
			return err
		}
	}
	token, end, err := s.Tokens.Issue(c, req.Spec.Audiences, seconds)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = []string{s.Tokens.URL}
	}
	req.Status = authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(end.Truncate(time.Second))}
	return nil
}

// bindToken ties a token to an object: it ends with it. A token of a pod tells its node as well.
func (s *Server) bindToken(ctx context.Context, ns string, ref *authenticationv1.BoundObjectReference, c *auth.Claims) error {
	if ref.Name == "" {
		return apierrors.NewBadRequest("Name parameter required.")
	}
	var o api.Object
	var err error
	l := s.Client(auth.System)
	bound := &auth.BoundObject{Name: ref.Name}
	switch {
	case ref.Kind == "Pod" && ref.APIVersion == "v1":
		var pod *corev1.Pod
		if pod, err = client.Get[*corev1.Pod](ctx, l, ns, ref.Name); err != nil {
			return err
		}
		if name := c.Kubernetes.ServiceAccount.Name; pod.Spec.ServiceAccountName != name {
			return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", name))
		}
		o, c.Kubernetes.Pod = pod, bound
		if n := pod.Spec.NodeName; n != "" {
			c.Kubernetes.Node = &auth.BoundObject{Name: n}
			if node, err := client.Get[*corev1.Node](ctx, l, "", n); err == nil {
				c.Kubernetes.Node.UID = string(node.UID)
			}
		}
	case ref.Kind == "Secret" && ref.APIVersion == "v1":
		o, err = client.Get[*corev1.Secret](ctx, l, ns, ref.Name)
		c.Kubernetes.Secret = bound
	case ref.Kind == "Node" && ref.APIVersion == "v1":
		o, err = client.Get[*corev1.Node](ctx, l, "", ref.Name)
		c.Kubernetes.Node = bound
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to type %s", c.Kubernetes.ServiceAccount.Name, schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)))
	}
	if err != nil {
		return err
	}
	if ref.UID != "" && ref.UID != o.GetUID() {
		return apierrors.NewConflict(schema.GroupResource{Resource: ref.Kind}, ref.Name, fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	bound.UID = string(o.GetUID())
	return nil
}

// PodToken issues the token that a kubelet mounts into a pod.
func (s *Server) PodToken(ctx context.Context, ns, serviceAccount string, audiences []string, seconds int64, pod string, uid types.UID) (string, time.Time, error) {
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod, UID: uid}}}
	if err := s.TokenRequest(ctx, ns, serviceAccount, req); err != nil {
		return "", time.Time{}, err
	}
	return req.Status.Token, req.Status.ExpirationTimestamp.Time, nil
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	fv := fieldValidationOf(r.URL.Query().Get("fieldValidation"))
	if err := checkOptions(r, x.verb, r.URL.Query()); err != nil {
		return err
	}
	gvk := authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
	var req authenticationv1.TokenRequest
	if err := s.readObject(r, x, gvk, &req, fv); err != nil {
		return err
	}
	if req.Name != "" && req.Name != x.name {
		return apierrors.NewInvalid(gvk.GroupKind(), x.name, field.ErrorList{
			field.Invalid(field.NewPath("metadata", "name"), req.Name, "must match the service account name if specified")})
	}
	if req.Namespace != "" && req.Namespace != x.ns {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if s.Tokens == nil {
		return apierrors.NewServiceUnavailable("this server has no key to sign tokens with")
	}
	attrs := admission.Attributes{Operation: admission.Create, Resource: res, Subresource: "token", Namespace: x.ns, Name: x.name, User: x.user, Object: &req, Warn: x.warn}
	if err := s.admission.Validate(r.Context(), &attrs); err != nil {
		return err
	}
	t := target{res: &api.Resource{GVK: gvk}, sub: "token", ns: x.ns, name: x.name, warn: x.warn, manager: fieldManagerOf(r.URL.Query().Get("fieldManager"), r.UserAgent())}
	if req.Spec.ExpirationSeconds == nil {
		hour := int64(3600)
		req.Spec.ExpirationSeconds = &hour
	}
	s.track(&t, &req, nil) // compat: who asked owns what was asked
	if err := s.TokenRequest(r.Context(), x.ns, x.name, &req); err != nil {
		return err
	}
	req.SetGroupVersionKind(gvk)
	req.Name, req.Namespace, req.UID = x.name, x.ns, uuid.NewUUID()
	req.CreationTimestamp = metav1.Time{Time: s.now()}
	s.writeObject(w, r, x, http.StatusCreated, &req)
	return nil
}
