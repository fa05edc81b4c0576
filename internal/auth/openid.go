package auth

import (
	"encoding/json"

	"github.com/go-jose/go-jose/v4"
)

// Configuration is the issuer's OpenID discovery document as JSON: others may
// check our tokens with it. keysURL is where the keys are.
func (i *Issuer) Configuration(keysURL string) ([]byte, error) {
	return json.Marshal(struct {
		Issuer     string   `json:"issuer"`
		Keys       string   `json:"jwks_uri"`
		Responses  []string `json:"response_types_supported"`
		Subjects   []string `json:"subject_types_supported"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}{i.URL, keysURL, []string{"id_token"}, []string{"public"}, []string{string(jose.ES256)}})
}

// PublicKeys are the keys that check the issuer's tokens, as a JSON Web Key Set.
func (i *Issuer) PublicKeys() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.Key.PublicKey, KeyID: i.KeyID, Algorithm: string(jose.ES256), Use: "sig"}}})
}
