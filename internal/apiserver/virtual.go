package apiserver

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
)

// serveVirtual answers the kinds that are questions: they are posted, answered and never stored.
func (s *Server) serveVirtual(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
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
		t.res, t.sub, t.name = all.For[*corev1.Pod](), "binding", b.Name
		if _, err := s.bind(r.Context(), t, b); err != nil {
			return err
		}
		s.writeCreated(w, r, x)
		return nil
	}
	if err := s.answer(r, x, o); err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(res.GVK)
	s.writeObject(w, r, x, http.StatusCreated, o)
	return nil
}

func (s *Server) answer(r *http.Request, x *exchange, o api.Object) error {
	switch q := o.(type) {
	case *authenticationv1.SelfSubjectReview:
		q.Status.UserInfo = userInfo(x.user)
	case *authenticationv1.TokenReview:
		u, err := s.tokenUser(r.Context(), q.Spec.Token)
		if err != nil {
			q.Status = authenticationv1.TokenReviewStatus{Error: err.Error()}
			return nil
		}
		q.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: userInfo(u), Audiences: q.Spec.Audiences}
	case *authorizationv1.SelfSubjectAccessReview:
		q.Status = access(x.user.In(auth.GroupMasters))
	case *authorizationv1.SubjectAccessReview:
		q.Status = access((&auth.User{Groups: q.Spec.Groups}).In(auth.GroupMasters))
	case *authorizationv1.LocalSubjectAccessReview:
		q.Status = access((&auth.User{Groups: q.Spec.Groups}).In(auth.GroupMasters))
	case *authorizationv1.SelfSubjectRulesReview:
		if x.user.In(auth.GroupMasters) {
			q.Status.ResourceRules = []authorizationv1.ResourceRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
			q.Status.NonResourceRules = []authorizationv1.NonResourceRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}}
		}
	default:
		return pathNotFound()
	}
	return nil
}

func access(allowed bool) authorizationv1.SubjectAccessReviewStatus {
	return authorizationv1.SubjectAccessReviewStatus{Allowed: allowed}
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
