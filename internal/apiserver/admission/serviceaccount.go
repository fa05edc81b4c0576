package admission

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/skiff-k8s/skiff/internal/client"
)

// serviceAccount gives pods a service account, the default one when they name
// none, and mounts its token where programs look for it.
type serviceAccount struct{ c client.Reader }

const (
	tokenMountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenVolumes   = "kube-api-access-"
	// enforceSecrets is the deprecated wish of a service account that its pods use only secrets that it lists.
	enforceSecrets = "kubernetes.io/enforce-mountable-secrets"
	// A new namespace gets its default account from a controller in a moment.
	waits, wait = 10, 100 * time.Millisecond
)

func (p serviceAccount) admit(ctx context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	if isMirror(pod) {
		return nil
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	sa, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = slices.Clone(sa.ImagePullSecrets)
	}
	mount := true
	switch {
	case pod.Spec.AutomountServiceAccountToken != nil:
		mount = *pod.Spec.AutomountServiceAccountToken
	case sa.AutomountServiceAccountToken != nil:
		mount = *sa.AutomountServiceAccountToken
	}
	if mount {
		mountToken(pod)
	}
	return nil
}

func (p serviceAccount) validate(ctx context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	if a.Operation == Create && isMirror(pod) {
		return mirrorProblem(a, pod)
	}
	if isMirror(pod) {
		return nil
	}
	sa, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if on, _ := strconv.ParseBool(sa.Annotations[enforceSecrets]); on {
		if err := listedSecrets(sa, pod, a.Subresource == "ephemeralcontainers"); err != nil {
			return a.refuse(err)
		}
	}
	return nil
}

func isMirror(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// mirrorProblem: a mirror pod shows what a node runs by itself; it gets nothing from the API.
func mirrorProblem(a *Attributes, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return a.forbidden("a mirror pod may not reference service accounts")
	}
	if usesSecret(&pod.Spec) {
		return a.forbidden("a mirror pod may not reference secrets")
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				return a.forbidden("a mirror pod may not use ServiceAccountToken volume projections")
			}
		}
	}
	return nil
}

// account finds the pod's service account.
func (p serviceAccount) account(ctx context.Context, a *Attributes, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	name := pod.Spec.ServiceAccountName
	tries := 1
	if name == "default" && a.Operation == Create {
		tries = waits
	}
	for i := 0; ; i++ {
		sa, err := client.Get[*corev1.ServiceAccount](ctx, p.c, a.Namespace, name)
		if err == nil || !apierrors.IsNotFound(err) {
			return sa, err
		}
		if i+1 >= tries {
			// compat: the lookup's own words, with the kind in the singular.
			return nil, a.forbidden("error looking up service account %s/%s: %w", a.Namespace, name, apierrors.NewNotFound(corev1.Resource("serviceaccount"), name))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// listedSecrets refuses secrets that the service account does not list.
func listedSecrets(sa *corev1.ServiceAccount, pod *corev1.Pod, ephemeralOnly bool) error {
	listed := func(name string) bool {
		return slices.ContainsFunc(sa.Secrets, func(r corev1.ObjectReference) bool { return r.Name == name })
	}
	var errs []error
	containersOf(&pod.Spec, func(kind string, c *corev1.Container) {
		if ephemeralOnly != (kind == "ephemeral container") {
			return
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !listed(e.ValueFrom.SecretKeyRef.Name) {
				errs = append(errs, fmt.Errorf("%s %s with envVar %s referencing secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret", kind, c.Name, e.Name, e.ValueFrom.SecretKeyRef.Name, sa.Name))
			}
		}
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil && !listed(e.SecretRef.Name) {
				errs = append(errs, fmt.Errorf("%s %s with envFrom referencing secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret", kind, c.Name, e.SecretRef.Name, sa.Name))
			}
		}
	})
	for _, v := range pod.Spec.Volumes {
		if !ephemeralOnly && v.Secret != nil && !listed(v.Secret.SecretName) {
			return fmt.Errorf("volume with secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret", v.Secret.SecretName, sa.Name)
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	if ephemeralOnly {
		return nil
	}
	for _, s := range pod.Spec.ImagePullSecrets {
		if !slices.Contains(sa.ImagePullSecrets, s) {
			return fmt.Errorf("imagePullSecrets[].name=\"%s\" is not allowed because service account %s does not reference that imagePullSecret", s.Name, sa.Name)
		}
	}
	return nil
}

// mountToken adds the token volume, and a mount of it to every container that
// has nothing else at that path.
func mountToken(pod *corev1.Pod) {
	name := ""
	for _, v := range pod.Spec.Volumes {
		if strings.HasPrefix(v.Name, tokenVolumes) && v.Projected != nil {
			name = v.Name
		}
	}
	fresh := name == ""
	if fresh {
		name = tokenVolumes + rand.String(5)
	}
	used := false
	each := func(cs []corev1.Container) {
		for i := range cs {
			if slices.ContainsFunc(cs[i].VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == tokenMountPath }) {
				continue
			}
			cs[i].VolumeMounts = append(cs[i].VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenMountPath})
			used = true
		}
	}
	each(pod.Spec.InitContainers)
	each(pod.Spec.Containers)
	if used && fresh {
		pod.Spec.Volumes = append(pod.Spec.Volumes, tokenVolume(name))
	}
}

func tokenVolume(name string) corev1.Volume {
	mode, seconds := int32(0o644), int64(3607)
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
			}}},
		},
	}}}
}
