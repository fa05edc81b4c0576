package aggregate

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TrustMap is the ConfigMap from which extension API servers learn whom to believe
// who a user is: bearers of client certificates of clientCA, and this server, which has
// one of proxyCA with one of the names. Both are PEM; without proxyCA this server cannot speak for others.
func TrustMap(clientCA, proxyCA []byte, names []string) *corev1.ConfigMap {
	list := func(v ...string) string {
		if v == nil {
			v = []string{}
		}
		b, _ := json.Marshal(v) // of texts alone: it cannot fail
		return string(b)
	}
	data := map[string]string{}
	if len(clientCA) > 0 {
		data["client-ca-file"] = string(clientCA)
	}
	if len(proxyCA) > 0 {
		data["requestheader-client-ca-file"] = string(proxyCA)
		data["requestheader-allowed-names"] = list(names...)
		data["requestheader-username-headers"] = list(userHeader)
		data["requestheader-uid-headers"] = list(uidHeader)
		data["requestheader-group-headers"] = list(groupHeader)
		data["requestheader-extra-headers-prefix"] = list(extraPrefix)
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "extension-apiserver-authentication"}, Data: data}
}
