package admission

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
)

// podSecurity holds pods against the level that their namespace's labels ask
// for. Pods are refused or warned about; of what makes pods later, only warnings
// are told, because the pods themselves come here again.
//
// The levels and their checks are upstream's library; what is here decides what to check.
type podSecurity struct {
	c      client.Reader
	eval   policy.Evaluator
	exempt Exemptions
}

// privileged is what a namespace without labels asks for.
var privileged = psapi.Policy{
	Enforce: psapi.LevelVersion{Level: psapi.LevelPrivileged, Version: psapi.LatestVersion()},
	Audit:   psapi.LevelVersion{Level: psapi.LevelPrivileged, Version: psapi.LatestVersion()},
	Warn:    psapi.LevelVersion{Level: psapi.LevelPrivileged, Version: psapi.LatestVersion()},
}

// maxPodsToCheck bounds what a new level of a namespace is held against.
const maxPodsToCheck = 3000

func newPodSecurity(c client.Reader, x Exemptions) podSecurity {
	eval, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic("admission: the library's own checks are not valid: " + err.Error())
	}
	return podSecurity{c, eval, x}
}

// policyFor is what is asked for where the write goes; skip when nothing is to be checked.
func (p podSecurity) policyFor(ctx context.Context, a *Attributes) (pol psapi.Policy, skip bool, err error) {
	if slices.Contains(p.exempt.Namespaces, a.Namespace) || a.User != nil && slices.Contains(p.exempt.Usernames, a.User.Name) {
		return pol, true, nil
	}
	ns, err := client.Get[*corev1.Namespace](ctx, p.c, "", a.Namespace)
	if err != nil {
		return pol, false, err
	}
	// Labels that say nothing of it are the usual case and must cost nothing.
	if !slices.ContainsFunc(securityLabels, func(k string) bool { _, ok := ns.Labels[k]; return ok }) {
		return pol, true, nil
	}
	pol, _ = psapi.PolicyToEvaluate(ns.Labels, privileged)
	return pol, pol.FullyPrivileged(), nil
}

var securityLabels = []string{psapi.EnforceLevelLabel, psapi.AuditLevelLabel, psapi.WarnLevelLabel, psapi.EnforceVersionLabel, psapi.AuditVersionLabel, psapi.WarnVersionLabel}

func (p podSecurity) exemptClass(s *corev1.PodSpec) bool {
	return s.RuntimeClassName != nil && slices.Contains(p.exempt.RuntimeClasses, *s.RuntimeClassName)
}

func (p podSecurity) check(lv psapi.LevelVersion, m *metav1.ObjectMeta, s *corev1.PodSpec) policy.AggregateCheckResult {
	return policy.AggregateCheckResults(p.eval.EvaluatePod(lv, m, s))
}

// pod judges a new pod, or one whose images change.
func (p podSecurity) pod(ctx context.Context, a *Attributes) error {
	pol, skip, err := p.policyFor(ctx, a)
	if skip || err != nil {
		return err
	}
	pod := a.Object.(*corev1.Pod)
	if p.exemptClass(&pod.Spec) || a.Operation == Update && !imagesChange(&pod.Spec, &a.Old.(*corev1.Pod).Spec) {
		return nil
	}
	r := p.check(pol.Enforce, &pod.ObjectMeta, &pod.Spec)
	if !r.Allowed {
		return a.forbidden("violates PodSecurity %q: %s", pol.Enforce.String(), r.ForbiddenDetail())
	}
	p.warn(a, pol.Warn, &pod.ObjectMeta, &pod.Spec)
	return nil
}

func (p podSecurity) warn(a *Attributes, lv psapi.LevelVersion, m *metav1.ObjectMeta, s *corev1.PodSpec) {
	if r := p.check(lv, m, s); !r.Allowed {
		a.Warn(fmt.Sprintf("would violate PodSecurity %q: %s", lv.String(), r.ForbiddenDetail()))
	}
}

// imagesChange: of a pod that is there, nothing else that matters can change.
func imagesChange(s, old *corev1.PodSpec) bool {
	type image struct{ kind, name, image string }
	have := map[image]bool{}
	containersOf(old, func(kind string, c *corev1.Container) { have[image{kind, c.Name, c.Image}] = true })
	changed := false
	n := 0
	containersOf(s, func(kind string, c *corev1.Container) {
		n++
		changed = changed || !have[image{kind, c.Name, c.Image}]
	})
	return changed || n != len(have)
}

// workload warns about what the pods of a workload would violate.
func (p podSecurity) workload(ctx context.Context, a *Attributes) error {
	pol, skip, err := p.policyFor(ctx, a)
	if skip || err != nil || pol.Warn.Level == psapi.LevelPrivileged {
		return nil
	}
	m, s := podTemplate(a.Object)
	if s != nil && !p.exemptClass(s) {
		p.warn(a, pol.Warn, m, s)
	}
	return nil
}

// podTemplate is what pods will be made from.
func podTemplate(o api.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	var t *corev1.PodTemplateSpec
	switch o := o.(type) {
	case *corev1.PodTemplate:
		t = &o.Template
	case *corev1.ReplicationController:
		t = o.Spec.Template
	case *appsv1.ReplicaSet:
		t = &o.Spec.Template
	case *appsv1.Deployment:
		t = &o.Spec.Template
	case *appsv1.DaemonSet:
		t = &o.Spec.Template
	case *appsv1.StatefulSet:
		t = &o.Spec.Template
	case *batchv1.Job:
		t = &o.Spec.Template
	case *batchv1.CronJob:
		t = &o.Spec.JobTemplate.Spec.Template
	}
	if t == nil {
		return nil, nil
	}
	return &t.ObjectMeta, &t.Spec
}

// namespace judges the labels of a namespace, and tells which pods violate a level that is stricter than before.
func (p podSecurity) namespace(ctx context.Context, a *Attributes) error {
	ns := a.Object.(*corev1.Namespace)
	pol, errs := psapi.PolicyToEvaluate(ns.Labels, privileged)
	if a.Operation == Create {
		if len(errs) > 0 {
			return apierrors.NewInvalid(a.Resource.GVK.GroupKind(), a.Name, errs)
		}
		p.warnExempt(a, ns, pol)
		return nil
	}
	old, oldErrs := psapi.PolicyToEvaluate(a.Old.GetLabels(), privileged)
	// What was wrong before may stay.
	if len(errs) > 0 && !reflect.DeepEqual(errs, oldErrs) {
		return apierrors.NewInvalid(a.Resource.GVK.GroupKind(), a.Name, errs)
	}
	relaxed := pol.Enforce.Version == old.Enforce.Version && psapi.CompareLevels(pol.Enforce.Level, old.Enforce.Level) < 1
	if pol.Enforce == old.Enforce || pol.Enforce.Level == psapi.LevelPrivileged || relaxed {
		return nil
	}
	if p.warnExempt(a, ns, pol) {
		return nil
	}
	return p.existing(ctx, a, pol.Enforce)
}

// warnExempt tells whether the namespace is exempt, and warns when its labels have no effect.
func (p podSecurity) warnExempt(a *Attributes, ns *corev1.Namespace, pol psapi.Policy) bool {
	if !slices.Contains(p.exempt.Namespaces, ns.Name) {
		return false
	}
	if pol.FullyPrivileged() {
		return true
	}
	var modes []string
	for _, m := range []struct {
		name           string
		lv             psapi.LevelVersion
		level, version string
	}{
		{"enforce", pol.Enforce, psapi.EnforceLevelLabel, psapi.EnforceVersionLabel},
		{"audit", pol.Audit, psapi.AuditLevelLabel, psapi.AuditVersionLabel},
		{"warn", pol.Warn, psapi.WarnLevelLabel, psapi.WarnVersionLabel},
	} {
		_, level := ns.Labels[m.level]
		_, version := ns.Labels[m.version]
		if m.lv.Level != psapi.LevelPrivileged && (level || version) {
			modes = append(modes, m.name+"="+m.lv.String())
		}
	}
	a.Warn(fmt.Sprintf("namespace %q is exempt from Pod Security, and the policy (%s) will be ignored", ns.Name, strings.Join(modes, ", ")))
	return true
}

// existing warns about pods that are there: one of each owner first.
func (p podSecurity) existing(ctx context.Context, a *Attributes, lv psapi.LevelVersion) error {
	pods, err := client.List[*corev1.Pod](ctx, p.c, a.Name, nil)
	if err != nil {
		return err
	}
	var first, replicas []*corev1.Pod
	seen := map[string]bool{}
	for _, pod := range pods {
		if p.exemptClass(&pod.Spec) {
			continue
		}
		if c := metav1.GetControllerOfNoCopy(pod); c != nil {
			if seen[string(c.UID)] {
				replicas = append(replicas, pod)
				continue
			}
			seen[string(c.UID)] = true
		}
		first = append(first, pod)
	}
	pods = append(first, replicas...)
	total := len(pods)
	pods = pods[:min(total, maxPodsToCheck)]
	violators := map[string][]string{}
	for _, pod := range pods {
		if r := p.check(lv, &pod.ObjectMeta, &pod.Spec); !r.Allowed {
			violators[r.ForbiddenReason()] = append(violators[r.ForbiddenReason()], pod.Name)
		}
	}
	if len(pods) < total {
		a.Warn(fmt.Sprintf("new PodSecurity enforce level only checked against the first %d of %d existing pods", len(pods), total))
	}
	if len(violators) > 0 {
		a.Warn(fmt.Sprintf("existing pods in namespace %q violate the new PodSecurity enforce level %q", a.Name, lv.String()))
	}
	var told []string
	for reason, names := range violators {
		who := slices.Min(names)
		switch n := len(names) - 1; n {
		case 0:
		case 1:
			who += " (and 1 other pod)"
		default:
			who += fmt.Sprintf(" (and %d other pods)", n)
		}
		told = append(told, who+": "+reason)
	}
	slices.Sort(told)
	for _, t := range told {
		a.Warn(t)
	}
	return nil
}
