package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/auth"
)

// The headers by which whoever may asks as somebody else, in the spelling of package http.
const (
	impersonate       = "Impersonate-"
	impersonateUser   = impersonate + "User"
	impersonateGroup  = impersonate + "Group"
	impersonateUID    = impersonate + "Uid"
	impersonateExtra  = impersonate + "Extra-"
	unauthenticated   = "system:unauthenticated"
	serviceAccountFor = "system:serviceaccount:"
)

// stageImpersonate has the request made by whom its headers name. From here on nobody
// can tell who really asks, so that what is allowed is what that user may do.
func (s *Server) stageImpersonate(_ http.ResponseWriter, r *http.Request, x *exchange) error {
	if !impersonates(r.Header) {
		return nil
	}
	u := &auth.User{Name: r.Header.Get(impersonateUser), UID: r.Header.Get(impersonateUID), Groups: r.Header[impersonateGroup]}
	for name, values := range r.Header {
		if key, ok := strings.CutPrefix(name, impersonateExtra); ok {
			if u.Extra == nil {
				u.Extra = map[string][]string{}
			}
			key = extraKey(key)
			u.Extra[key] = append(u.Extra[key], values...)
		}
	}
	if u.Name == "" {
		if u.UID == "" && u.Groups == nil && u.Extra == nil {
			return nil
		}
		return apierrors.NewBadRequest(fmt.Sprintf("requested &user.DefaultInfo{Name:%q, UID:%q, Groups:%#v, Extra:%#v} without impersonating a user name", u.Name, u.UID, u.Groups, u.Extra))
	}
	account := strings.Split(strings.TrimPrefix(u.Name, serviceAccountFor), ":")
	bare := strings.HasPrefix(u.Name, serviceAccountFor) && len(account) == 2 && len(u.Groups) == 0
	if !x.user.In(auth.GroupMasters) {
		as := "user-info"
		if bare {
			as = "serviceaccount"
		}
		return refused(x, "impersonate-on:"+as+":"+x.verb)
	}
	if bare {
		u.Groups = []string{auth.GroupServiceAccounts, auth.GroupServiceAccounts + ":" + account[0]}
	}
	if !u.In(auth.GroupAuthenticated) && !u.In(unauthenticated) {
		known := auth.GroupAuthenticated
		if u.Name == anonymous.Name {
			known = unauthenticated
		}
		u.Groups = append(slices.Clone(u.Groups), known)
	}
	x.user = u
	for name := range r.Header {
		if strings.HasPrefix(name, impersonate) {
			r.Header.Del(name)
		}
	}
	return nil
}

func impersonates(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, impersonate) {
			return true
		}
	}
	return false
}

// extraKey is the key that the end of a header's name stands for. What headers cannot have in their names is escaped.
func extraKey(name string) string {
	if key, err := url.PathUnescape(name); err == nil {
		name = key
	}
	return strings.ToLower(name)
}
