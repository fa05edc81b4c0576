package admission

// NewChain lists the plugins in the order in which Kubernetes runs them.
func NewChain(c Config) *Chain {
	r := c.Reader
	if c.Authorizer == nil {
		c.Authorizer = administrators{}
	}
	return newChain([]plugin{
		{name: "NamespaceLifecycle", on: []string{"CREATE *", "DELETE namespaces"}, admit: namespaceLifecycle{r}.admit},
		{name: "ServiceAccount", on: []string{"CREATE pods"}, admit: serviceAccount{r}.admit},
		{name: "TaintNodesByCondition", on: []string{"CREATE nodes"}, admit: taintNodesByCondition},
		{name: "Priority", on: []string{"CREATE pods"}, admit: priority{r}.admit},
		{name: "DefaultTolerationSeconds", on: []string{"CREATE,UPDATE pods"}, admit: defaultTolerationSeconds},
	})
}
