package admission

// NewChain lists the plugins in the order in which Kubernetes runs them.
func NewChain(c Config) *Chain {
	r := c.Reader
	if c.Authorizer == nil {
		c.Authorizer = administrators{}
	}
	return newChain([]plugin{
		{name: "NamespaceLifecycle", on: []string{"CREATE *", "DELETE namespaces"}, admit: namespaceLifecycle{r}.admit},
		{name: "LimitRanger", on: []string{"CREATE pods"}, admit: limitRanger{r}.admit},
		{name: "LimitRanger", on: []string{"CREATE,UPDATE persistentvolumeclaims", "CREATE pods", "UPDATE pods/resize"}, validate: limitRanger{r}.validate},
		{name: "ServiceAccount", on: []string{"CREATE pods"}, admit: serviceAccount{r}.admit},
		{name: "ServiceAccount", on: []string{"CREATE pods", "UPDATE pods/ephemeralcontainers"}, validate: serviceAccount{r}.validate},
		{name: "TaintNodesByCondition", on: []string{"CREATE nodes"}, admit: taintNodesByCondition},
		{name: "Priority", on: []string{"CREATE,UPDATE pods"}, admit: priority{r}.admit},
		{name: "Priority", on: []string{"CREATE,UPDATE priorityclasses.scheduling.k8s.io"}, validate: priority{r}.validate},
		{name: "DefaultTolerationSeconds", on: []string{"CREATE,UPDATE pods"}, admit: defaultTolerationSeconds},
		{name: "RuntimeClass", on: []string{"CREATE pods"}, admit: runtimeClass{r}.admit, validate: runtimeClass{r}.validate},
	})
}
