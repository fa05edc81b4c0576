package apiserver

import "net/http"

// serveOpenID tells who signs the tokens of service accounts and with what keys.
func (s *Server) serveOpenID(w http.ResponseWriter, p string) error {
	if s.Tokens == nil {
		return errNoPage
	}
	media, document := mediaJSON, func() ([]byte, error) { return s.Tokens.Configuration(s.Tokens.URL + "/" + openIDKeys) }
	if p == "/"+openIDKeys {
		media, document = "application/jwk-set+json", s.Tokens.PublicKeys
	}
	b, err := document()
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	writeDocument(w, media, b)
	return nil
}
