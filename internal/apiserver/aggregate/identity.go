package aggregate

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/skiff-k8s/skiff/internal/auth"
)

type userKey struct{}

// WithUser says who asks, once that is known and the request is authorized.
func WithUser(ctx context.Context, u *auth.User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

func userOf(ctx context.Context) *auth.User {
	u, _ := ctx.Value(userKey{}).(*auth.User)
	return u
}

// The headers of request-header authentication, as the ConfigMap for extension servers names them (trust.go).
const (
	userHeader  = "X-Remote-User"
	uidHeader   = "X-Remote-Uid"
	groupHeader = "X-Remote-Group"
	extraPrefix = "X-Remote-Extra-"
)

// The aggregator's own names. The one may see whether a backend serves what it should; the other reads its documents.
var (
	checker = &auth.User{Name: "system:kube-aggregator", Groups: []string{auth.GroupMasters}}
	reader  = &auth.User{Name: "system:aggregator"}
)

// dropIdentity removes all that a client could tell the backend about who it is:
// names of users, credentials, and wishes to be somebody else, which were for this server.
func dropIdentity(h http.Header) {
	for k := range h {
		// Some servers take both characters for the same.
		switch name := strings.ToLower(strings.ReplaceAll(k, "_", "-")); {
		case name == "authorization", strings.HasPrefix(name, "x-remote-"), strings.HasPrefix(name, "impersonate-"):
			delete(h, k)
		}
	}
}

// setIdentity tells who asks. A name that would arrive as another one is an error.
func setIdentity(h http.Header, u *auth.User) error {
	if u.Name == "" {
		return fmt.Errorf("the user has no name")
	}
	add := func(key, value string) error {
		if !intact(value) {
			return fmt.Errorf("%q cannot be told to another server", value)
		}
		h[http.CanonicalHeaderKey(key)] = append(h[http.CanonicalHeaderKey(key)], value)
		return nil
	}
	if err := add(userHeader, u.Name); err != nil {
		return err
	}
	if u.UID != "" {
		if err := add(uidHeader, u.UID); err != nil {
			return err
		}
	}
	for _, g := range u.Groups {
		if err := add(groupHeader, g); err != nil {
			return err
		}
	}
	for k, values := range u.Extra {
		for _, v := range values {
			if err := add(extraPrefix+escapeKey(k), v); err != nil {
				return err
			}
		}
	}
	return nil
}

// intact tells whether a header's value arrives as it is: space around it would be cut off.
func intact(v string) bool {
	if strings.Trim(v, " \t") != v {
		return false
	}
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// escapeKey writes a key as part of a header's name; authenticators undo it.
func escapeKey(k string) string {
	var b strings.Builder
	for i := range len(k) {
		if c := k[i]; token(c) && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// token tells whether a byte may be in a header's name.
func token(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
