package plugins

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1helper "k8s.io/component-helpers/scheduling/corev1"

	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// Choice is how a claim that waited for its pod gets a volume on the chosen node.
type Choice struct {
	Claim *corev1.PersistentVolumeClaim
	// Volume is there already; nil: the provisioner of the claim's class makes one for the node.
	Volume *corev1.PersistentVolume
}

// Choose finds a volume for every claim on the node, or says why there is none.
func Choose(v *snapshot.Volumes, claims []*corev1.PersistentVolumeClaim, n *corev1.Node) ([]Choice, *Status) {
	choices := make([]Choice, 0, len(claims))
	taken := map[string]bool{}
	for _, pvc := range claims {
		// A provisioner was told to make it for another node: that stands.
		if node := pvc.Annotations[annSelectedNode]; node != "" && node != n.Name {
			return nil, errVolumeNode
		}
		if pvc.Annotations[annSelectedNode] == "" {
			if pv := smallest(v, pvc, n, taken); pv != nil {
				taken[pv.Name] = true
				choices = append(choices, Choice{pvc, pv})
				continue
			}
		}
		sc := classOf(v, pvc)
		if sc == nil || sc.Provisioner == "" || sc.Provisioner == noProvisioner {
			return nil, errNoVolume
		}
		if !allowed(sc.AllowedTopologies, n) {
			return nil, errNoVolume
		}
		choices = append(choices, Choice{Claim: pvc})
	}
	return choices, nil
}

// smallest finds the smallest free volume that satisfies the claim on the node.
func smallest(v *snapshot.Volumes, pvc *corev1.PersistentVolumeClaim, n *corev1.Node, taken map[string]bool) *corev1.PersistentVolume {
	sel := labels.Everything()
	if pvc.Spec.Selector != nil {
		var err error
		if sel, err = metav1.LabelSelectorAsSelector(pvc.Spec.Selector); err != nil {
			return nil
		}
	}
	var best *corev1.PersistentVolume
	for _, pv := range v.PVs {
		if taken[pv.Name] || !suits(pv, pvc) || !sel.Matches(labels.Set(pv.Labels)) || !Reaches(pv, n) {
			continue
		}
		if pv.Spec.ClaimRef != nil {
			return pv // made for this claim
		}
		if best == nil {
			best = pv
			continue
		}
		a, b := pv.Spec.Capacity[corev1.ResourceStorage], best.Spec.Capacity[corev1.ResourceStorage]
		if c := a.Cmp(b); c < 0 || c == 0 && pv.Name < best.Name {
			best = pv
		}
	}
	return best
}

func suits(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) bool {
	if r := pv.Spec.ClaimRef; r != nil &&
		(r.Namespace != pvc.Namespace || r.Name != pvc.Name || r.UID != "" && r.UID != pvc.UID) {
		return false
	}
	if pv.DeletionTimestamp != nil || pv.Spec.ClaimRef == nil && pv.Status.Phase != corev1.VolumeAvailable {
		return false
	}
	class := ""
	if pvc.Spec.StorageClassName != nil {
		class = *pvc.Spec.StorageClassName
	}
	if pv.Spec.StorageClassName != class || modeOf(pv.Spec.VolumeMode) != modeOf(pvc.Spec.VolumeMode) {
		return false
	}
	have, want := pv.Spec.Capacity[corev1.ResourceStorage], pvc.Spec.Resources.Requests[corev1.ResourceStorage]
	if have.Cmp(want) < 0 {
		return false
	}
	for _, m := range pvc.Spec.AccessModes {
		found := false
		for _, h := range pv.Spec.AccessModes {
			found = found || h == m
		}
		if !found {
			return false
		}
	}
	return true
}

func modeOf(m *corev1.PersistentVolumeMode) corev1.PersistentVolumeMode {
	if m == nil {
		return corev1.PersistentVolumeFilesystem
	}
	return *m
}

// allowed tells whether a class makes volumes for the node: one of the terms matches its labels.
func allowed(terms []corev1.TopologySelectorTerm, n *corev1.Node) bool {
	if len(terms) == 0 {
		return true
	}
	for i := range terms {
		sel := corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
		for _, e := range terms[i].MatchLabelExpressions {
			sel.NodeSelectorTerms[0].MatchExpressions = append(sel.NodeSelectorTerms[0].MatchExpressions,
				corev1.NodeSelectorRequirement{Key: e.Key, Operator: corev1.NodeSelectorOpIn, Values: e.Values})
		}
		if len(sel.NodeSelectorTerms[0].MatchExpressions) == 0 {
			return true
		}
		if ok, err := corev1helper.MatchNodeSelectorTerms(n, &sel); err == nil && ok {
			return true
		}
	}
	return false
}
