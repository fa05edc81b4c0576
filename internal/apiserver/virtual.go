package apiserver

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/authorization"
	"github.com/skiff-k8s/skiff/internal/auth"
)

// serveVirtual answers the kinds that are questions: they are posted, answered and never stored.
func (s *Server) serveVirtual(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	if res.GVK.Kind == "ComponentStatus" {
		return s.serveComponentStatus(w, r, x, res)
	}
	if x.verb != "create" || x.name != "" {
		return notAllowed(x)
	}
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	o := res.New()
	if err := s.readObject(r, x, res.GVK, o, fv); err != nil {
		return err
	}
	if b, ok := o.(*corev1.Binding); ok {
		if b.Name == "" {
			return apierrors.NewBadRequest("Name parameter required.")
		}
		t.res, t.sub, t.name = all.For[*corev1.Pod](), "binding", b.Name
		if _, err := s.bind(r.Context(), t, b); err != nil {
			return err
		}
		s.writeCreated(w, r, x)
		return nil
	}
	if !res.Namespaced {
		o.SetNamespace("") // compat: whatever it says
	} else if o.GetNamespace() == "" {
		o.SetNamespace(x.ns)
	} else if o.GetNamespace() != x.ns {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	dedupOwners(&t, o)
	if err := s.validateReview(&t, o); err != nil {
		return err
	}
	if err := s.answer(r, x, o); err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(res.GVK)
	if v := x.version; v != nil {
		if o, err = v.Show(o); err != nil {
			return apierrors.NewInternalError(err)
		}
	}
	s.writeObject(w, r, x, http.StatusCreated, o)
	return nil
}

func (s *Server) answer(r *http.Request, x *exchange, o api.Object) error {
	switch q := o.(type) {
	case *authenticationv1.SelfSubjectReview:
		// Nothing of what was posted is in the answer.
		*q = authenticationv1.SelfSubjectReview{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: s.now()}}}
		q.Status.UserInfo = userInfo(x.user)
	case *authenticationv1.TokenReview:
		if q.Spec.Token == "" {
			return apierrors.NewBadRequest("token is required for TokenReview in authentication")
		}
		u, err := s.tokenUser(r.Context(), q.Spec.Token)
		if err != nil {
			// Why is for the log of whoever runs the server, not for whoever asks.
			s.Log.Debug("token review", "err", err)
			q.Status = authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}
			return nil
		}
		q.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: userInfo(u), Audiences: q.Spec.Audiences}
	case *authorizationv1.SelfSubjectAccessReview:
		q.Status = access(x.user.In(auth.GroupMasters), q.Spec.ResourceAttributes)
	case *authorizationv1.SubjectAccessReview:
		q.Status = access((&auth.User{Groups: q.Spec.Groups}).In(auth.GroupMasters), q.Spec.ResourceAttributes)
	case *authorizationv1.LocalSubjectAccessReview:
		q.Status = access((&auth.User{Groups: q.Spec.Groups}).In(auth.GroupMasters), q.Spec.ResourceAttributes)
	case *authorizationv1.SelfSubjectRulesReview:
		if q.Spec.Namespace == "" {
			return apierrors.NewBadRequest("no namespace on request")
		}
		*q = authorizationv1.SelfSubjectRulesReview{}
		if x.user.In(auth.GroupMasters) {
			q.Status.ResourceRules = []authorizationv1.ResourceRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
			q.Status.NonResourceRules = []authorizationv1.NonResourceRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}}
		}
	default:
		return pathNotFound()
	}
	return nil
}

func access(allowed bool, r *authorizationv1.ResourceAttributes) authorizationv1.SubjectAccessReviewStatus {
	return authorizationv1.SubjectAccessReviewStatus{Allowed: allowed, EvaluationError: authorization.Ignored(r)}
}

func userInfo(u *auth.User) authenticationv1.UserInfo {
	i := authenticationv1.UserInfo{Username: u.Name, UID: u.UID, Groups: u.Groups}
	for k, v := range u.Extra {
		if i.Extra == nil {
			i.Extra = map[string]authenticationv1.ExtraValue{}
		}
		i.Extra[k] = v
	}
	return i
}

// validateReview checks a question; those about access carry no metadata.
func (s *Server) validateReview(t *target, o api.Object) error {
	var errs field.ErrorList
	if t.res.Validate != nil {
		errs = t.res.Validate(o)
	}
	var m *metav1.ObjectMeta
	but := ""
	switch q := o.(type) {
	case *authorizationv1.SubjectAccessReview:
		m = &q.ObjectMeta
	case *authorizationv1.SelfSubjectAccessReview:
		m = &q.ObjectMeta
	case *authorizationv1.LocalSubjectAccessReview:
		m, but = &q.ObjectMeta, " except for namespace"
	}
	if m != nil {
		bare := *m
		bare.ManagedFields = nil
		if but != "" {
			bare.Namespace = ""
		}
		if !equality.Semantic.DeepEqual(bare, metav1.ObjectMeta{}) {
			// compat: the account of fields is there by now, and shown.
			s.track(t, o, nil)
			errs = append(errs, field.Invalid(field.NewPath("metadata"), *m, "must be empty"+but))
		}
	}
	if len(errs) > 0 {
		// compat: the kind is left out.
		return apierrors.NewInvalid(schema.GroupKind{Group: t.res.GVK.Group}, "", errs)
	}
	return nil
}
