package admission

// NewChain lists the plugins in the order in which Kubernetes runs them.
func NewChain(c Config) *Chain {
	r := c.Reader
	if c.Authorizer == nil {
		c.Authorizer = administrators{}
	}
	node := nodeRestriction{r, c.Authorizer}
	security := newPodSecurity(r, c.PodSecurity)
	sign := signer{c.Authorizer}
	return newChain([]plugin{
		{name: "CertificateRequester", on: []string{"CREATE certificatesigningrequests.certificates.k8s.io"}, admit: certificateRequester},
		{name: "NamespaceLifecycle", on: []string{"CREATE *", "DELETE namespaces"}, admit: namespaceLifecycle{r}.admit},
		{name: "LimitRanger", on: []string{"CREATE pods"}, admit: limitRanger{r}.admit},
		{name: "LimitRanger", on: []string{"CREATE,UPDATE persistentvolumeclaims", "CREATE pods", "UPDATE pods/resize"}, validate: limitRanger{r}.validate},
		{name: "ServiceAccount", on: []string{"CREATE pods"}, admit: serviceAccount{r}.admit},
		{name: "ServiceAccount", on: []string{"CREATE pods", "UPDATE pods/ephemeralcontainers"}, validate: serviceAccount{r}.validate},
		{name: "NodeRestriction", on: []string{"CREATE,UPDATE,DELETE pods"}, validate: node.only(node.pod)},
		{name: "NodeRestriction", on: []string{"UPDATE pods/status"}, validate: node.only(node.podStatus)},
		{name: "NodeRestriction", on: []string{"CREATE pods/eviction"}, validate: node.only(node.eviction)},
		{name: "NodeRestriction", on: []string{"CREATE,UPDATE pods/binding pods/ephemeralcontainers pods/resize"}, validate: node.only(node.podOther)},
		{name: "NodeRestriction", on: []string{"CREATE,UPDATE,DELETE nodes", "UPDATE nodes/status"}, validate: node.only(node.node)},
		{name: "NodeRestriction", on: []string{"CREATE,UPDATE,DELETE persistentvolumeclaims"}, validate: node.only(node.claim)},
		{name: "NodeRestriction", on: []string{"UPDATE persistentvolumeclaims/status"}, validate: node.only(node.claimStatus)},
		{name: "NodeRestriction", on: []string{"CREATE serviceaccounts/token"}, validate: node.only(node.token)},
		{name: "NodeRestriction", on: []string{"CREATE,UPDATE,DELETE leases.coordination.k8s.io"}, validate: node.only(node.lease)},
		{name: "NodeRestriction", on: []string{"CREATE,UPDATE,DELETE csinodes.storage.k8s.io"}, validate: node.only(node.csiNode)},
		{name: "NodeRestriction", on: []string{"CREATE,DELETE resourceslices.resource.k8s.io"}, validate: node.only(node.slice)},
		{name: "NodeRestriction", on: []string{"CREATE certificatesigningrequests.certificates.k8s.io"}, validate: node.only(node.certificate)},
		{name: "NodeRestriction", on: []string{"CREATE podcertificaterequests.certificates.k8s.io"}, validate: node.only(node.podCertificate)},
		{name: "TaintNodesByCondition", on: []string{"CREATE nodes"}, admit: taintNodesByCondition},
		{name: "PodSecurity", on: []string{"CREATE,UPDATE pods", "UPDATE pods/ephemeralcontainers pods/resize"}, validate: security.pod},
		{name: "PodSecurity", on: []string{"CREATE,UPDATE replicationcontrollers podtemplates replicasets.apps deployments.apps daemonsets.apps statefulsets.apps jobs.batch cronjobs.batch"}, validate: security.workload},
		{name: "PodSecurity", on: []string{"CREATE,UPDATE namespaces"}, validate: security.namespace},
		{name: "Priority", on: []string{"CREATE,UPDATE pods"}, admit: priority{r}.admit},
		{name: "Priority", on: []string{"CREATE,UPDATE priorityclasses.scheduling.k8s.io"}, validate: priority{r}.validate},
		{name: "DefaultTolerationSeconds", on: []string{"CREATE,UPDATE pods"}, admit: defaultTolerationSeconds},
		{name: "DefaultStorageClass", on: []string{"CREATE persistentvolumeclaims"}, admit: defaultStorageClass{r}.admit},
		{name: "StorageObjectInUseProtection", on: []string{"CREATE persistentvolumeclaims persistentvolumes volumeattributesclasses.storage.k8s.io"}, admit: storageObjectInUseProtection},
		{name: "PersistentVolumeClaimResize", on: []string{"UPDATE persistentvolumeclaims"}, validate: claimResize{r}.validate},
		{name: "RuntimeClass", on: []string{"CREATE pods"}, admit: runtimeClass{r}.admit, validate: runtimeClass{r}.validate},
		{name: "CertificateApproval", on: []string{"UPDATE certificatesigningrequests.certificates.k8s.io/approval"}, validate: sign.approval},
		{name: "CertificateSigning", on: []string{"UPDATE certificatesigningrequests.certificates.k8s.io/status podcertificaterequests.certificates.k8s.io/status"}, validate: sign.signing},
		{name: "ClusterTrustBundleAttest", on: []string{"CREATE,UPDATE clustertrustbundles.certificates.k8s.io"}, validate: sign.attest},
		{name: "CertificateSubjectRestriction", on: []string{"CREATE certificatesigningrequests.certificates.k8s.io"}, validate: certificateSubject},
		{name: "DefaultIngressClass", on: []string{"CREATE ingresses.networking.k8s.io"}, admit: defaultIngressClass{r}.admit},
		{name: "DeviceAdminAccess", on: []string{"CREATE resourceclaims.resource.k8s.io resourceclaimtemplates.resource.k8s.io"}, validate: deviceAdmin{r}.request},
		{name: "DeviceAdminAccess", on: []string{"UPDATE resourceclaims.resource.k8s.io/status"}, validate: deviceAdmin{r}.grant},
		{name: "PodTopologyLabels", on: []string{"UPDATE pods/binding"}, admit: podTopologyLabels{r}.admit},
	})
}
