package apiserver

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"weak"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
	"github.com/skiff-k8s/skiff/internal/apiserver/aggregate"
)

// openapi is /openapi/v2 and /openapi/v3. Documents are made from the resource
// table and the definitions of the types when somebody asks. What is kept are
// their hashes, by which clients see whether they have the newest, and the
// documents themselves until the next garbage collection.
//
// Read openapi_operation.go for what documents say of a resource, then
// openapi_writer.go and openapi_v3.go for how it is written.
type openapi struct {
	mu     sync.Mutex        // held while a document is made: several who ask wait for one
	hashes map[string]string // of v3 documents by path ("apis/apps/v1"), of the v2 document by documentV2Path
	recent map[recentDocument]weak.Pointer[[]byte]
}

// recentDocument names a document in one of its forms.
type recentDocument struct {
	at    string
	proto bool
}

// The documents that belong to no group.
const (
	documentV2Path      = "/v2" // no v3 document begins with a slash
	openIDConfiguration = ".well-known/openid-configuration"
	openIDKeys          = "openid/v1/jwks"
)

// forget drops what was made.
func (o *openapi) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hashes, o.recent = nil, nil
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

// openAPIForm is a form in which documents are given.
type openAPIForm struct {
	asked, given string
	proto        bool
}

var (
	openAPIJSON = openAPIForm{asked: mediaJSON, given: mediaJSON}
	formsV2     = []openAPIForm{openAPIJSON,
		{"application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", true},
		{"application/com.github.proto-openapi.spec.v2.v1.0+protobuf", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", true}}
	formsV3 = []openAPIForm{openAPIJSON,
		{"application/com.github.proto-openapi.spec.v3.v1.0+protobuf", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", true},
		{"application/com.github.proto-openapi.spec.v3@v1.0+protobuf", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", true}}
)

// chooseForm takes the form that the client likes best. Package mime is no help:
// "@" has no place in a media type, but clients send it.
func chooseForm(r *http.Request, forms []openAPIForm) (best openAPIForm, err error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if header == "" {
		return openAPIJSON, nil
	}
	bestQ := 0.0
	for _, part := range strings.Split(header, ",") {
		media, params, _ := strings.Cut(part, ";")
		media = strings.TrimSpace(media)
		q := 1.0
		for _, p := range strings.Split(params, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
				if f, err := strconv.ParseFloat(v, 64); err == nil {
					q = f
				}
			}
		}
		i := slices.IndexFunc(forms, func(f openAPIForm) bool {
			return media == f.asked || media == "*/*" || media == "application/*"
		})
		if i >= 0 && q > bestQ {
			best, bestQ = forms[i], q
		}
	}
	if bestQ > 0 {
		return best, nil
	}
	names := make([]string, len(forms))
	for i, f := range forms {
		names[i] = f.asked
	}
	return best, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(names, ", ")}}
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, r *http.Request, x *exchange, p string) error {
	if p != "/openapi/v2" && p != "/openapi/v3" && !strings.HasPrefix(p, "/openapi/v3/") {
		return errNoPage
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(x)
	}
	at, forms := documentV2Path, formsV2
	switch {
	case p == "/openapi/v2":
	case p == "/openapi/v3":
		return s.serveOpenAPIIndex(w, r)
	default:
		at, forms = strings.TrimPrefix(p, "/openapi/v3/"), formsV3
		if h := s.aggregator.OpenAPIV3Handler(at); h != nil {
			s.passOn(w, r, x, h)
			return nil
		}
	}
	if at == documentV2Path {
		if docs := s.aggregator.OpenAPIV2(r.Context()); docs.Tag != "" {
			return s.serveJoinedV2(w, r, docs)
		}
	}
	hash, err := s.openapi.hash(s, at)
	if err != nil {
		return err
	}
	form, err := chooseForm(r, forms)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Etag", strconv.Quote(hash))
	if asked := r.URL.Query().Get("hash"); asked != "" && at != documentV2Path {
		if asked != hash {
			http.Redirect(w, r, openAPIURL(at, hash), http.StatusMovedPermanently)
			return nil
		}
		h.Set("Cache-Control", "public, immutable")
		h.Set("Expires", s.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
	}
	if matchesETag(r, hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	b, err := s.openapi.document(s, at, form.proto)
	if err != nil {
		return err
	}
	writeDocument(w, form.given, b)
	return nil
}

func writeDocument(w http.ResponseWriter, media string, b []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	w.Write(b)
}

func openAPIURL(at, hash string) string { return "/openapi/v3/" + at + "?hash=" + hash }

func matchesETag(r *http.Request, hash string) bool {
	for _, v := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if v = strings.TrimSpace(v); v == "*" || strings.Trim(strings.TrimPrefix(v, "W/"), `"`) == hash {
			return true
		}
	}
	return false
}

// serveOpenAPIIndex lists the documents.
func (s *Server) serveOpenAPIIndex(w http.ResponseWriter, r *http.Request) error {
	paths, hashes, err := s.openapi.all(s)
	if err != nil {
		return err
	}
	urls := s.aggregator.OpenAPIV3(r.Context())
	for i, at := range paths {
		urls[at] = openAPIURL(at, hashes[i])
	}
	var b jsonText
	b.open('{')
	b.object("paths", func() {
		for _, at := range slices.Sorted(maps.Keys(urls)) {
			b.object(at, func() { b.pair("serverRelativeURL", urls[at]) })
		}
	})
	b.close('}')
	hash := hashOf(b)
	w.Header().Set("Etag", strconv.Quote(hash))
	if matchesETag(r, hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeDocument(w, mediaJSON, b)
	return nil
}

// serveJoinedV2 answers with the OpenAPI v2 document of this server and those that are joined to it.
func (s *Server) serveJoinedV2(w http.ResponseWriter, r *http.Request, docs *aggregate.Documents) error {
	own, err := s.openapi.hash(s, documentV2Path)
	if err != nil {
		return err
	}
	form, err := chooseForm(r, formsV2)
	if err != nil {
		return err
	}
	hash := hashOf([]byte(own + docs.Tag))
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Etag", strconv.Quote(hash))
	if matchesETag(r, hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	b, err := s.openapi.document(s, documentV2Path, false)
	if err == nil {
		b, err = docs.Into(b)
	}
	if err == nil && form.proto {
		b, err = protoDocument(b, true)
	}
	if err != nil {
		return err
	}
	writeDocument(w, form.given, b)
	return nil
}

// all are the paths and hashes of the v3 documents.
func (o *openapi) all(s *Server) (paths, hashes []string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var defs *definitions.Definitions
	paths = o.paths(s)
	for _, at := range paths {
		if o.hashes[at] == "" {
			if defs == nil {
				if defs, err = definitions.Unpack(); err != nil {
					return nil, nil, err
				}
			}
			if _, err := o.make(s, defs, at); err != nil {
				return nil, nil, err
			}
		}
		hashes = append(hashes, o.hashes[at])
	}
	return paths, hashes, nil
}

// hash is that of a document, in whatever form.
func (o *openapi) hash(s *Server, at string) (string, error) {
	o.mu.Lock()
	known := o.hashes[at]
	exists := known != "" || at == documentV2Path || slices.Contains(o.paths(s), at)
	o.mu.Unlock()
	if known != "" {
		return known, nil
	}
	if !exists {
		return "", pathNotFound()
	}
	b, err := o.document(s, at, false)
	return hashOf(b), err
}

// document is a document as it is sent.
func (o *openapi) document(s *Server, at string, proto bool) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.recent[recentDocument{at, proto}].Value(); b != nil {
		return *b, nil
	}
	text := o.recent[recentDocument{at, false}].Value()
	if text == nil {
		defs, err := definitions.Unpack()
		if err != nil {
			return nil, err
		}
		if text, err = o.make(s, defs, at); err != nil {
			return nil, err
		}
	}
	if !proto {
		return *text, nil
	}
	b, err := protoDocument(*text, at == documentV2Path)
	if err != nil {
		return nil, err
	}
	o.recent[recentDocument{at, true}] = weak.Make(&b)
	return b, nil
}

// make writes a document and remembers its hash. The lock is held.
func (o *openapi) make(s *Server, defs *definitions.Definitions, at string) (*[]byte, error) {
	w := &documentWriter{defs: defs, custom: map[string][]byte{}, version: s.Version.GitVersion, options: map[string][]parameter{}}
	for _, r := range s.kinds.Load().rows {
		if r.Custom == nil || at != documentV2Path && at != openAPIPath(r.GVR.GroupVersion()) {
			continue
		}
		if err := customSchemas(r, w.custom); err != nil {
			return nil, err
		}
	}
	var b []byte
	if at == documentV2Path {
		var ops []operation
		for _, p := range o.paths(s) {
			ops = append(ops, o.operations(s, p)...)
		}
		var err error
		if b, err = w.documentV2(ops); err != nil {
			return nil, err
		}
	} else {
		b = w.documentV3(o.operations(s, at))
	}
	if o.recent == nil {
		o.hashes, o.recent = map[string]string{}, map[recentDocument]weak.Pointer[[]byte]{}
	}
	b = slices.Clip(b)
	o.hashes[at] = hashOf(b)
	o.recent[recentDocument{at, false}] = weak.Make(&b)
	return &b, nil
}

// paths are the v3 documents that there are. The lock is held.
func (o *openapi) paths(s *Server) []string {
	out := []string{"api", "apis", "version"}
	if s.Tokens != nil {
		out = append(out, openIDConfiguration, openIDKeys)
	}
	builtin, custom := s.ownVersions()
	for _, gv := range append(builtin, custom...) {
		if gv.Group != "" {
			out = append(out, "apis/"+gv.Group)
		}
		out = append(out, openAPIPath(gv))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// operations are those of a v3 document. The lock is held.
func (o *openapi) operations(s *Server, at string) []operation {
	ops := discoveryOperations(at)
	for _, r := range s.servedIn(groupVersionAt(at)) {
		ops = append(ops, r.operations()...)
	}
	return ops
}

// groupVersionAt is the group version that has its document at the path; empty when it is not one's.
func groupVersionAt(at string) schema.GroupVersion {
	switch parts := strings.Split(at, "/"); {
	case parts[0] == "api" && len(parts) == 2:
		return schema.GroupVersion{Version: parts[1]}
	case parts[0] == "apis" && len(parts) == 3:
		return schema.GroupVersion{Group: parts[1], Version: parts[2]}
	}
	return schema.GroupVersion{}
}
