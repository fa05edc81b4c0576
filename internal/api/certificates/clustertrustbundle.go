package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ClusterTrustBundle is all there is about ClusterTrustBundle objects on the server.
var ClusterTrustBundle = api.Kind[certificatesv1.ClusterTrustBundle]{
	Version: certificatesv1.SchemeGroupVersion, Resource: "clustertrustbundles",
	List:     &certificatesv1.ClusterTrustBundleList{},
	Versions: trustBundleVersions,
}
