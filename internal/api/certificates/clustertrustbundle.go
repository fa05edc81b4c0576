package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ClusterTrustBundle is all there is about ClusterTrustBundle objects on the server.
var ClusterTrustBundle = api.Kind[certificatesv1.ClusterTrustBundle]{
	Version: certificatesv1.SchemeGroupVersion, Resource: "clustertrustbundles",
	List:           &certificatesv1.ClusterTrustBundleList{},
	Versions:       trustBundleVersions,
	Name:           func(string, bool) []string { return nil }, // it depends on the signer
	Validate:       validateTrustBundle,
	ValidateUpdate: validateTrustBundleUpdate,
	Fields: map[string]func(*certificatesv1.ClusterTrustBundle) string{
		"spec.signerName": func(o *certificatesv1.ClusterTrustBundle) string { return o.Spec.SignerName },
	},
	Columns: api.Columns[certificatesv1.ClusterTrustBundle]{
		api.NameColumn[certificatesv1.ClusterTrustBundle](),
		api.Text("SignerName", "signerName indicates the associated signer, if any.", func(o *certificatesv1.ClusterTrustBundle) any { return orNone(o.Spec.SignerName) }),
	},
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}
