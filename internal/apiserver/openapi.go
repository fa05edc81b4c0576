package apiserver

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// openapi is /openapi/v3: one document per group version, made from the table when first asked for.
type openapi struct {
	mu   sync.Mutex
	docs map[string][]byte // by path: api/v1, apis/apps/v1
}

func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, r *http.Request, x *exchange, p string) error {
	if p == "/openapi/v3" {
		paths := map[string]any{}
		groups, versions := s.groupVersions()
		for _, g := range groups {
			for _, v := range versions[g] {
				at := openAPIPath(schema.GroupVersion{Group: g, Version: v})
				b, err := s.openAPIDocument(at)
				if err != nil {
					return err
				}
				sum := sha512.Sum512(b)
				paths[at] = map[string]string{"serverRelativeURL": "/openapi/v3/" + at + "?hash=" + strings.ToUpper(hex.EncodeToString(sum[:]))}
			}
		}
		s.writeObject(w, r, x, http.StatusOK, map[string]any{"paths": paths})
		return nil
	}
	b, err := s.openAPIDocument(strings.TrimPrefix(p, "/openapi/v3/"))
	if err != nil {
		return err
	}
	s.writeJSON(w, x, http.StatusOK, b)
	return nil
}

func openAPIPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "api/" + gv.Version
	}
	return "apis/" + gv.Group + "/" + gv.Version
}

func (s *Server) openAPIDocument(at string) ([]byte, error) {
	s.openapi.mu.Lock()
	defer s.openapi.mu.Unlock()
	if b := s.openapi.docs[at]; b != nil {
		return b, nil
	}
	paths := map[string]any{}
	for _, r := range s.rows {
		if openAPIPath(r.GVR.GroupVersion()) == at {
			openAPIPaths(paths, r)
		}
	}
	if len(paths) == 0 {
		return nil, pathNotFound()
	}
	b, err := marshalJSON(map[string]any{
		"openapi":    "3.0.0",
		"info":       map[string]any{"title": "Kubernetes", "version": s.Version.GitVersion},
		"paths":      paths,
		"components": map[string]any{"schemas": map[string]any{}},
	})
	if err == nil {
		if s.openapi.docs == nil {
			s.openapi.docs = map[string][]byte{}
		}
		s.openapi.docs[at] = b
	}
	return b, err
}

// openAPIPaths describes the operations of a row: which there are, on what kind,
// with which query parameters. Clients look here to learn whether the server validates fields.
func openAPIPaths(paths map[string]any, r *api.Resource) {
	root := "/" + openAPIPath(r.GVR.GroupVersion())
	if r.Namespaced {
		root += "/namespaces/{namespace}"
	}
	collection := root + "/" + r.GVR.Resource
	gvk := map[string]string{"group": r.GVK.Group, "version": r.GVK.Version, "kind": r.GVK.Kind}
	operation := func(verb string, query ...string) map[string]any {
		var params []any
		for _, q := range query {
			params = append(params, map[string]any{"name": q, "in": "query", "schema": map[string]any{"type": "string", "uniqueItems": true}})
		}
		return map[string]any{
			"operationId": fmt.Sprintf("%s%s", verb, r.GVK.Kind), "parameters": params,
			"responses":                       map[string]any{"200": map[string]any{"description": "OK"}},
			"x-kubernetes-action":             verb,
			"x-kubernetes-group-version-kind": gvk,
		}
	}
	has := func(v string) bool { return slices.Contains(r.Verbs, v) }
	all, one := map[string]any{}, map[string]any{}
	if has("list") {
		all["get"] = operation("list", "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "watch", "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks")
	}
	if has("create") {
		all["post"] = operation("post", "dryRun", "fieldManager", "fieldValidation")
	}
	if has("deletecollection") {
		all["delete"] = operation("deletecollection", "labelSelector", "fieldSelector", "dryRun", "gracePeriodSeconds", "propagationPolicy")
	}
	if has("get") {
		one["get"] = operation("get")
	}
	if has("update") {
		one["put"] = operation("put", "dryRun", "fieldManager", "fieldValidation")
	}
	if has("patch") {
		one["patch"] = operation("patch", "dryRun", "fieldManager", "fieldValidation", "force")
	}
	if has("delete") {
		one["delete"] = operation("delete", "dryRun", "gracePeriodSeconds", "propagationPolicy")
	}
	paths[collection] = all
	if len(one) > 0 {
		paths[collection+"/{name}"] = one
	}
}
