package schema

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestDefinitions(t *testing.T) {
	d, err := Unpack()
	if err != nil {
		t.Fatal(err)
	}
	const pod, spec, quantity = "io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.PodSpec", "io.k8s.apimachinery.pkg.api.resource.Quantity"
	var schema struct {
		Properties map[string]any
		Kinds      []map[string]string `json:"x-kubernetes-group-version-kind"`
	}
	if err := json.Unmarshal(d.JSON(pod), &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Properties["spec"] == nil || len(schema.Kinds) != 1 || schema.Kinds[0]["kind"] != "Pod" {
		t.Errorf("a pod is %v", schema)
	}
	if d.JSON("none") != nil {
		t.Error("there is a definition that is not there")
	}
	c := d.Closure([]string{pod, "none", pod})
	if !slices.IsSorted(c) || !slices.Contains(c, spec) || !slices.Contains(c, quantity) || slices.Contains(c, "io.k8s.api.core.v1.Node") || slices.Contains(c, "none") {
		t.Errorf("a pod refers to %v", c)
	}
	all := 0
	for line := range strings.Lines(string(d.text)) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !json.Valid([]byte(text)) || string(d.JSON(name)) != text {
			t.Errorf("%s is not found, or no JSON", name)
		}
		for _, ref := range References([]byte(text)) {
			if d.JSON(ref) == nil {
				t.Errorf("%s refers to %s, which is not there", name, ref)
			}
		}
		all++
	}
	if all < 1000 {
		t.Errorf("only %d definitions", all)
	}
}
