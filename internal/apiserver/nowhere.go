package apiserver

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
)

// errNoPage is the answer where nobody serves anything: not a Status but the words of Go's HTTP server.
var errNoPage = errors.New("404 page not found")

func pathNotFound() error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "the server could not find the requested resource", 0, false)
}

// nothingAt says that there is nothing at a path.
//
// compat: below the groups of Kubernetes' own servers that is a Status, elsewhere, as below groups of custom
// resources, it is text.
func nothingAt(path string) error {
	root, rest, _ := strings.Cut(strings.Trim(path, "/"), "/")
	group, _, _ := strings.Cut(rest, "/")
	if root == "api" || root == "version" || root == "apis" && builtIn(group) {
		return pathNotFound()
	}
	return errNoPage
}

func builtIn(group string) bool {
	return group != "" && slices.ContainsFunc(all.Rows, func(r *api.Resource) bool {
		return r.GVR.Group == group || slices.ContainsFunc(r.Versions, func(v *api.Version) bool { return v.GVR.Group == group })
	})
}

// notAllowed refuses a method.
func notAllowed(x *exchange) error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, x.verb, schema.GroupResource{}, "", "", 0, false)
}

// maxUnread is how much of a body nobody wants is read.
const maxUnread = 64 << 10

// settle takes what is on its way of a small body before an error is the answer: there are clients (curl 7) that lose
// an answer which ends the stream while they still send.
func settle(r *http.Request) {
	if r.ContentLength > 0 && r.ContentLength <= maxUnread {
		io.CopyN(io.Discard, r.Body, r.ContentLength)
	}
}
