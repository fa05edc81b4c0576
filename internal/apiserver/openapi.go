package apiserver

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
)

// openapi is /openapi/v2 and /openapi/v3. Documents are made from the resource
// table and the definitions of the types when somebody asks; what is kept is
// their hashes, by which clients see whether they have the newest.
type openapi struct {
	mu     sync.Mutex
	hashes map[string]string // of v3 documents, by path: api/v1, apis/apps/v1
	v2     map[string][]byte // zipped, by form
	v2Hash string
}

func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

func hashOf(b []byte) string {
	sum := sha512.Sum512(b)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func openAPIPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "api/" + gv.Version
	}
	return "apis/" + gv.Group + "/" + gv.Version
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, r *http.Request, x *exchange, p string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(x)
	}
	switch {
	case p == "/openapi/v2":
		return s.serveOpenAPIV2(w, r, x)
	case p == "/openapi/v3":
		return s.serveOpenAPIIndex(w, r, x)
	case !strings.HasPrefix(p, "/openapi/v3/"):
		return pathNotFound()
	}
	at := strings.TrimPrefix(p, "/openapi/v3/")
	hashes, err := s.openAPIHashes()
	if err != nil {
		return err
	}
	hash := hashes[at]
	if hash == "" {
		return pathNotFound()
	}
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Etag", `"`+hash+`"`)
	if asked := r.URL.Query().Get("hash"); asked == hash {
		h.Set("Cache-Control", "public, immutable")
		h.Set("Expires", s.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
	} else if asked != "" {
		http.Redirect(w, r, "/openapi/v3/"+at+"?hash="+hash, http.StatusMovedPermanently)
		return nil
	}
	if matchesETag(r, hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	d, err := definitions.Unpack()
	if err != nil {
		return err
	}
	b, err := s.openAPIDocument(d, at)
	if err != nil {
		return err
	}
	s.writeJSON(w, x, http.StatusOK, b)
	return nil
}

func matchesETag(r *http.Request, hash string) bool {
	for _, v := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if strings.Trim(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(v), "W/")), `"`) == hash {
			return true
		}
	}
	return false
}

func (s *Server) serveOpenAPIIndex(w http.ResponseWriter, r *http.Request, x *exchange) error {
	hashes, err := s.openAPIHashes()
	if err != nil {
		return err
	}
	paths := jsonObject{}
	for at, hash := range hashes {
		paths[at] = jsonObject{"serverRelativeURL": "/openapi/v3/" + at + "?hash=" + hash}
	}
	b, err := marshalJSON(jsonObject{"paths": paths})
	if err != nil {
		return err
	}
	hash := hashOf(b)
	w.Header().Set("Etag", `"`+hash+`"`)
	if matchesETag(r, hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	s.writeJSON(w, x, http.StatusOK, b)
	return nil
}

// openAPIHashes makes every document once, to know its hash.
func (s *Server) openAPIHashes() (map[string]string, error) {
	o := &s.openapi
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hashes != nil {
		return o.hashes, nil
	}
	began := time.Now()
	d, err := definitions.Unpack()
	if err != nil {
		return nil, err
	}
	hashes := map[string]string{}
	for _, at := range s.openAPIPaths() {
		b, err := s.openAPIDocument(d, at)
		if err != nil {
			return nil, err
		}
		hashes[at] = hashOf(b)
	}
	s.Log.Debug("OpenAPI documents made", "took", time.Since(began), "documents", len(hashes))
	o.hashes = hashes
	return hashes, nil
}

// openAPIPaths are the documents that there are.
func (s *Server) openAPIPaths() []string {
	out := []string{".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version"}
	groups, versions := s.groupVersions()
	for _, g := range groups {
		if g != "" {
			out = append(out, "apis/"+g)
		}
		for _, v := range versions[g] {
			out = append(out, openAPIPath(schema.GroupVersion{Group: g, Version: v}))
		}
	}
	return out
}

// openAPIDocument makes one v3 document.
func (s *Server) openAPIDocument(d *definitions.Definitions, at string) ([]byte, error) {
	parts := strings.Split(at, "/")
	switch {
	case at == "api":
		return s.plainV3(d, "/api/", "getCoreAPIVersions", "core", "get available API versions", modelMeta+"APIVersions")
	case at == "apis":
		return s.plainV3(d, "/apis/", "getAPIVersions", "apis", "get available API versions", modelMeta+"APIGroupList")
	case at == "version":
		return s.plainV3(d, "/version/", "getCodeVersion", "version", "get the version information for this server", "io.k8s.apimachinery.pkg.version.Info")
	case at == ".well-known/openid-configuration":
		return s.plainV3(d, "/"+at+"/", "getServiceAccountIssuerOpenIDConfiguration", "WellKnown", "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'", "")
	case at == "openid/v1/jwks":
		return s.plainV3(d, "/"+at+"/", "getServiceAccountIssuerOpenIDKeyset", "openid", "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)", "")
	case parts[0] == "apis" && len(parts) == 2:
		id, tag := words(schema.GroupVersion{Group: parts[1]})
		return s.plainV3(d, "/"+at+"/", "get"+id+"APIGroup", strings.TrimSuffix(tag, "_"), "get information of a group", modelMeta+"APIGroup")
	}
	var ops []operation
	for _, r := range s.servedAt(at) {
		ops = append(ops, r.operations()...)
	}
	return s.documentV3(d, resourceListOperation(at), ops)
}

// servedAt are the resources of the group version that has its document at the path.
func (s *Server) servedAt(at string) []*served {
	parts := strings.Split(at, "/")
	if len(parts) == 2 {
		return s.servedIn(schema.GroupVersion{Version: parts[1]})
	}
	return s.servedIn(schema.GroupVersion{Group: parts[1], Version: parts[2]})
}

func servedOf(r *api.Resource) *served {
	v := &served{Resource: r, gvk: r.GVK, gvr: r.GVR, typ: r.Type}
	if r.NewList != nil {
		v.list = reflect.TypeOf(r.NewList())
	}
	return v
}

// resourceListOperation is the discovery of a group version.
func resourceListOperation(at string) operation {
	parts := strings.Split(at, "/")
	gv := schema.GroupVersion{Version: parts[1]}
	if parts[0] == "apis" {
		gv = schema.GroupVersion{Group: parts[1], Version: parts[2]}
	}
	id, tag := words(gv)
	return plainOperation("/"+at+"/", "get"+id+"APIResources", tag, "get available resources", modelMeta+"APIResourceList")
}
