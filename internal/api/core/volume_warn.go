package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

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
	var few [16]file
	switch {
	case v.Secret != nil:
		w.overlaps(v.Name, "Secret", v.Secret.SecretName, itemFiles(few[:0], v.Secret.Items, "", ""))
	case v.ConfigMap != nil:
		w.overlaps(v.Name, "ConfigMap", v.ConfigMap.Name, itemFiles(few[:0], v.ConfigMap.Items, "", ""))
	case v.DownwardAPI != nil:
		w.overlaps(v.Name, "DownwardAPI", "", downwardFiles(few[:0], v.DownwardAPI.Items, ""))
	case v.Projected != nil:
		w.projected(v.Name, v.Projected, few[:0])
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		*w = append(*w, ClaimWarnings(&v.Ephemeral.VolumeClaimTemplate.Spec, at.Child("ephemeral", "volumeClaimTemplate", "spec"))...)
	}
}

func (w *warnings) projected(volume string, p *corev1.ProjectedVolumeSource, files []file) {
	empty := false
	for i := range p.Sources {
		switch s := &p.Sources[i]; {
		case s.Secret != nil:
			files = itemFiles(files, s.Secret.Items, "Secret", s.Secret.Name)
		case s.ConfigMap != nil:
			files = itemFiles(files, s.ConfigMap.Items, "ConfigMap", s.ConfigMap.Name)
		case s.DownwardAPI != nil:
			files = downwardFiles(files, s.DownwardAPI.Items, "DownwardAPI")
		case s.ServiceAccountToken != nil:
			files = append(files, file{s.ServiceAccountToken.Path, "ServiceAccountToken", ""})
		case s.ClusterTrustBundle != nil:
			t := s.ClusterTrustBundle
			name := t.Name
			if name == nil {
				name = t.SignerName
			}
			if name != nil {
				files = append(files, file{t.Path, "ClusterTrustBundle", *name})
			}
		case s.PodCertificate != nil:
			c := s.PodCertificate
			files = append(files, file{c.CertificateChainPath, "PodCertificate chain", ""}, file{c.KeyPath, "PodCertificate key", ""},
				file{c.CredentialBundlePath, "PodCertificate credential bundle", ""})
		default:
			empty = true
		}
	}
	if empty && !w.full() {
		*w = append(*w, fmt.Sprintf("volume %q (Projected) has no sources provided", volume))
	}
	w.overlaps(volume, "Projected", "", files)
}

// file is a file that a volume projects; kind and name are those of its source, where there are several.
type file struct{ path, kind, name string }

func (f *file) String() string {
	switch {
	case f.kind == "":
		return fmt.Sprintf("%q", f.path)
	case f.name == "":
		return fmt.Sprintf("%q (%s)", f.path, f.kind)
	}
	return fmt.Sprintf("%q (%s %q)", f.path, f.kind, f.name)
}

func itemFiles(to []file, items []corev1.KeyToPath, kind, name string) []file {
	for i := range items {
		to = append(to, file{items[i].Path, kind, name})
	}
	return to
}

func downwardFiles(to []file, items []corev1.DownwardAPIVolumeFile, kind string) []file {
	for i := range items {
		to = append(to, file{items[i].Path, kind, ""})
	}
	return to
}

// mostFiles are so many that they are not held against each other.
const mostFiles = 256

// overlaps tells of files that would be written twice, or below each other.
func (w *warnings) overlaps(volume, kind, name string, files []file) {
	if len(files) > mostFiles {
		return
	}
	for i := range files {
		p := strings.TrimSuffix(files[i].path, "/")
		for j := range i {
			q := strings.TrimSuffix(files[j].path, "/")
			if p == "" || q == "" || p != q && !below(p, q) && !below(q, p) {
				continue
			}
			if w.full() {
				return
			}
			of := kind
			if name != "" {
				of = fmt.Sprintf("%s %q", kind, name)
			}
			*w = append(*w, fmt.Sprintf("volume %q (%s): overlapping paths: %s with %s", volume, of, files[i].String(), files[j].String()))
		}
	}
}

// below tells whether the path leads to what is in the folder.
func below(path, folder string) bool {
	return len(path) > len(folder) && path[len(folder)] == '/' && path[:len(folder)] == folder
}
