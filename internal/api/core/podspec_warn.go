package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func warnPod(next, old *corev1.Pod) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	var warnings []string
	if old == nil && next.Spec.Hostname == "" {
		if msgs := meta.DNSLabel(next.Name); len(msgs) > 0 && next.Name != "" {
			warnings = append(warnings, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
		}
	}
	return append(warnings, warnPodSpec(&next.Spec, specPath)...)
}

// TemplateWarnings tells what is questionable in a template, and in the name of
// its owner, which its pods' names begin with.
func TemplateWarnings(owner string, t *corev1.PodTemplateSpec, at *field.Path) []string {
	var warnings []string
	if msgs := meta.DNSLabel(owner); len(msgs) > 0 && owner != "" {
		warnings = append(warnings, fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
	}
	return append(warnings, warnPodSpec(&t.Spec, at.Child("spec"))...)
}

// deprecatedNodeLabels are labels of nodes under their old names, and what to use instead.
var deprecatedNodeLabels = map[string]string{
	"beta.kubernetes.io/arch":                  `deprecated since v1.14; use "kubernetes.io/arch" instead`,
	"beta.kubernetes.io/os":                    `deprecated since v1.14; use "kubernetes.io/os" instead`,
	"failure-domain.beta.kubernetes.io/region": `deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
	"failure-domain.beta.kubernetes.io/zone":   `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
	"beta.kubernetes.io/instance-type":         `deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
}

// warnPodSpec makes paths only when there is something to tell (see meta.Checked).
func warnPodSpec(s *corev1.PodSpec, at *field.Path) []string {
	if len(podSpecWarnings(s, nil)) == 0 {
		return nil
	}
	return podSpecWarnings(s, at)
}

func podSpecWarnings(s *corev1.PodSpec, at *field.Path) warnings {
	var w warnings
	for k := range s.NodeSelector {
		if text, ok := deprecatedNodeLabels[k]; ok {
			w.add(at.Child("nodeSelector").Key(k), text)
		}
	}
	for i := range s.TopologySpreadConstraints {
		c := &s.TopologySpreadConstraints[i]
		idx := meta.Index(meta.Child(at, "topologySpreadConstraints"), i)
		if text, ok := deprecatedNodeLabels[c.TopologyKey]; ok {
			w.add(idx.Child("topologyKey"), c.TopologyKey+" is "+text)
		}
		if c.LabelSelector == nil {
			w.add(idx.Child("labelSelector"), "a null labelSelector results in matching no pod")
		}
	}
	for i := range s.ImagePullSecrets {
		if s.ImagePullSecrets[i].Name == "" {
			w.add(at.Child("imagePullSecrets").Index(i), `invalid empty name ""`)
		}
	}
	if g := s.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.add(at.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	for i := range s.Volumes {
		w.volume(&s.Volumes[i], meta.Index(meta.Child(at, "volumes"), i))
	}
	for _, l := range []struct {
		name string
		cs   []corev1.Container
	}{{"initContainers", s.InitContainers}, {"containers", s.Containers}} {
		for i := range l.cs {
			w.container(&l.cs[i], at, l.name, i)
		}
	}
	return w
}

type warnings []string

func (w *warnings) add(at *field.Path, text string) { *w = append(*w, at.String()+": "+text) }

func (w *warnings) container(c *corev1.Container, at *field.Path, list string, i int) {
	var names seen
	for j := range c.Env {
		if e := &c.Env[j]; names.add(e.Name) && !strings.Contains(e.Value, "$("+e.Name+")") {
			w.add(at.Child(list).Index(i).Child("env").Index(j), fmt.Sprintf("hides previous definition of %q, which may be dropped when using apply", e.Name))
		}
	}
	for j := 1; j < len(c.Ports); j++ {
		for k := range j {
			if a, b := &c.Ports[k], &c.Ports[j]; a.ContainerPort == b.ContainerPort && a.Protocol == b.Protocol && a.HostPort == b.HostPort && a.HostIP == b.HostIP {
				w.add(at.Child(list).Index(i).Child("ports").Index(j), fmt.Sprintf("duplicate port definition with %s", at.Child(list).Index(i).Child("ports").Index(k)))
				break
			}
		}
	}
	for _, r := range []struct {
		name string
		list corev1.ResourceList
	}{{"limits", c.Resources.Limits}, {"requests", c.Resources.Requests}} {
		for name, q := range r.list {
			if (name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage) && q.MilliValue()%1000 != 0 {
				w.add(at.Child(list).Index(i).Child("resources", r.name).Key(string(name)), fmt.Sprintf("fractional byte value %q is invalid, must be an integer", q.String()))
			}
		}
	}
}

// A deprecatedSource is a kind of volume that may be written down and is no more.
type deprecatedSource struct {
	set        bool
	name, text string
}

func (w *warnings) volume(v *corev1.Volume, at *field.Path) {
	for _, d := range []deprecatedSource{
		{v.PhotonPersistentDisk != nil, "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
		{v.GitRepo != nil, "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
		{v.ScaleIO != nil, "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
		{v.Flocker != nil, "flocker", "deprecated in v1.22, non-functional in v1.25+"},
		{v.StorageOS != nil, "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
		{v.Quobyte != nil, "quobyte", "deprecated in v1.22, non-functional in v1.25+"},
		{v.Glusterfs != nil, "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
		{v.CephFS != nil, "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
		{v.RBD != nil, "rbd", "deprecated in v1.28, non-functional in v1.31+"},
	} {
		if d.set {
			w.add(at.Child(d.name), d.text)
		}
	}
	switch {
	case v.Secret != nil:
		w.overlaps(itemPaths(v.Secret.Items), "volume %q (Secret %q)", v.Name, v.Secret.SecretName)
	case v.ConfigMap != nil:
		w.overlaps(itemPaths(v.ConfigMap.Items), "volume %q (ConfigMap %q)", v.Name, v.ConfigMap.Name)
	case v.DownwardAPI != nil:
		var paths []string
		for i := range v.DownwardAPI.Items {
			paths = append(paths, v.DownwardAPI.Items[i].Path)
		}
		w.overlaps(paths, "volume %q (DownwardAPI)", v.Name)
	case v.Projected != nil && len(v.Projected.Sources) == 0:
		*w = append(*w, fmt.Sprintf("volume %q (Projected) has no sources provided", v.Name))
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		*w = append(*w, ClaimWarnings(&v.Ephemeral.VolumeClaimTemplate.Spec, at.Child("ephemeral", "volumeClaimTemplate", "spec", "resources", "requests").Key("storage").String())...)
	}
}

func itemPaths(items []corev1.KeyToPath) []string {
	if len(items) < 2 {
		return nil // nothing to lie over each other
	}
	var paths []string
	for i := range items {
		paths = append(paths, items[i].Path)
	}
	return paths
}

// overlaps tells of files that would be written twice, or below each other.
func (w *warnings) overlaps(paths []string, volume string, names ...string) {
	for i, p := range paths {
		for _, q := range paths[:i] {
			if p == q || below(p, q) || below(q, p) {
				args := make([]any, len(names))
				for i := range names {
					args[i] = names[i]
				}
				*w = append(*w, fmt.Sprintf(volume, args...)+fmt.Sprintf(": overlapping paths: %q with %q", p, q))
			}
		}
	}
}

// below tells whether the path leads to what is in the folder.
func below(path, folder string) bool {
	return len(path) > len(folder) && path[len(folder)] == '/' && path[:len(folder)] == folder
}
