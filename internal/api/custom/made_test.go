package custom

import apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

// made is the kind of a definition that stays in memory.
func made(crd *apiextensionsv1.CustomResourceDefinition) *Kind {
	return New(crd, func() *apiextensionsv1.CustomResourceDefinition { return crd })
}
