package scheduler

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

// provisionWithin is how long a pod waits on its node for its claims to be bound.
const provisionWithin = 10 * time.Minute

const (
	annSelectedNode   = "volume.kubernetes.io/selected-node"
	annBoundByControl = "pv.kubernetes.io/bound-by-controller"
)

// awaiting is a pod that has its node and waits for its claims.
type awaiting struct {
	*tracked
	pod   *snapshot.Pod // as it was when the wait began
	node  string
	until time.Time
}

// choose finds how the claims that waited for the pod get volumes on the node.
func (c *Core) choose(p *snapshot.Pod, n *snapshot.Node) []plugins.Choice {
	v := &c.Snapshot.Volumes
	var delayed []*corev1.PersistentVolumeClaim
	for _, cl := range c.Snapshot.Wants(p).Claims {
		if pvc := v.Claims[cl.Key]; pvc != nil && !plugins.Bound(pvc) {
			delayed = append(delayed, pvc)
		}
	}
	if len(delayed) == 0 {
		return nil
	}
	// The filter found some on this very snapshot: there is no other outcome.
	choices, _ := plugins.Choose(v, delayed, n.Obj)
	return choices
}

// provision has the claims bound to volumes on the pod's node, where it is counted
// already. The pod is bound when they are.
func (s *Scheduler) provision(t *tracked, node string, choices []plugins.Choice) {
	s.awaiting[t.pod.Obj.UID] = &awaiting{t, t.pod, node, s.Now().Add(provisionWithin)}
	v := &s.core.Snapshot.Volumes
	for _, ch := range choices {
		// The next cycle must see the choice, not what it was made from.
		if ch.Volume != nil {
			v.PVs[ch.Volume.Name] = claimed(ch.Volume, ch.Claim)
		} else {
			v.Claims[claimKey(ch.Claim)] = selected(ch.Claim, node)
		}
	}
	s.write(func(ctx context.Context) {
		for _, ch := range choices {
			if err := s.writeChoice(ctx, ch, node); err != nil {
				s.mail.put(func() {
					v.Claims[claimKey(ch.Claim)] = ch.Claim
					if ch.Volume != nil {
						v.PVs[ch.Volume.Name] = ch.Volume
					}
					s.stopAwaiting(t, err)
				})
				return
			}
		}
	})
}

func (s *Scheduler) writeChoice(ctx context.Context, ch plugins.Choice, node string) (err error) {
	if ch.Volume == nil {
		if ch.Claim.Annotations[annSelectedNode] != node {
			_, err = client.Update(ctx, s.Client, selected(ch.Claim, node))
		}
		return err
	}
	_, err = client.Update(ctx, s.Client, claimed(ch.Volume, ch.Claim))
	return err
}

func selected(pvc *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolumeClaim {
	pvc = pvc.DeepCopy()
	if pvc.Annotations == nil {
		pvc.Annotations = map[string]string{}
	}
	pvc.Annotations[annSelectedNode] = node
	return pvc
}

func claimed(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	pv = pv.DeepCopy()
	if pv.Spec.ClaimRef == nil {
		// Tells the volume controller that it may undo the claim.
		if pv.Annotations == nil {
			pv.Annotations = map[string]string{}
		}
		pv.Annotations[annBoundByControl] = "yes"
	}
	pv.Spec.ClaimRef = &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim",
		Namespace: pvc.Namespace, Name: pvc.Name, UID: pvc.UID, ResourceVersion: pvc.ResourceVersion,
	}
	return pv
}

// checkAwaiting binds the pods whose claims are bound now, and gives up on those that cannot be.
func (s *Scheduler) checkAwaiting() {
	for uid, a := range s.awaiting {
		done, err := s.provisioned(a)
		switch {
		case err != nil:
			s.stopAwaiting(a.tracked, err)
		case done:
			delete(s.awaiting, uid)
			s.bind(a.tracked, a.node)
		}
	}
}

func (s *Scheduler) provisioned(a *awaiting) (bool, error) {
	for _, cl := range s.core.Snapshot.Wants(a.pod).Claims {
		pvc := s.core.Snapshot.Volumes.Claims[cl.Key]
		switch {
		case pvc == nil:
			return false, fmt.Errorf("persistentvolumeclaim %q not found", cl.Name)
		case plugins.Bound(pvc):
			continue
		case !s.Now().Before(a.until):
			return false, context.DeadlineExceeded
		}
		// A provisioner that cannot make it on that node takes its mark away.
		if node, marked := pvc.Annotations[annSelectedNode]; marked && node != a.node {
			return false, fmt.Errorf("selectedNode annotation value %q not set to scheduled node %q", node, a.node)
		}
		return false, nil
	}
	return true, nil
}

// stopAwaiting takes the pod off its node and tries again.
func (s *Scheduler) stopAwaiting(t *tracked, err error) {
	uid := t.pod.Obj.UID
	if a := s.awaiting[uid]; a == nil || a.tracked != t {
		return
	}
	delete(s.awaiting, uid)
	s.unassume(t, fmt.Errorf("running PreBind plugin %q: binding volumes: %w", "VolumeBinding", err))
}
