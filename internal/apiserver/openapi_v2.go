package apiserver

import "net/http"

func (s *Server) serveOpenAPIV2(w http.ResponseWriter, r *http.Request, x *exchange) error {
	return pathNotFound()
}
