package apiserver

import (
	"bytes"
	"math"

	"go.yaml.in/yaml/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// checkAliases refuses a YAML document whose aliases would make it larger than a
// body may be. Readers of YAML bound how many nodes aliases may become
// (CVE-2019-11253), but not their bytes: one long text, named a hundred thousand
// times, is a document of many gigabytes.
func checkAliases(b []byte) error {
	if bytes.IndexByte(b, '&') < 0 || bytes.IndexByte(b, '*') < 0 {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return apierrors.NewBadRequest("error converting YAML to JSON: " + err.Error())
	}
	x := expansion{sizes: map[*yaml.Node]int{}}
	if x.of(&doc) > maxBody && x.aliased {
		return tooLarge()
	}
	return nil
}

// expansion counts the bytes of a document with its aliases spelled out.
type expansion struct {
	sizes   map[*yaml.Node]int // of what has an anchor
	aliased bool
}

func (x *expansion) of(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		x.aliased = true
		size, known := x.sizes[n.Alias]
		if !known {
			return math.MaxInt32 // it contains itself
		}
		return size
	}
	size := len(n.Value) + 1
	for _, c := range n.Content {
		size = min(size+x.of(c), math.MaxInt32)
	}
	if n.Anchor != "" {
		x.sizes[n] = size
	}
	return size
}
