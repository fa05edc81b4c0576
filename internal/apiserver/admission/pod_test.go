package admission

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// list reads "cpu=1 memory=1Gi".
func list(s string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for _, f := range strings.Fields(s) {
		k, v, _ := strings.Cut(f, "=")
		l[corev1.ResourceName(k)] = resource.MustParse(v)
	}
	return l
}

func podWith(requests, limits string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}
	return p
}

func TestLimitRanger(t *testing.T) {
	two := podWith("cpu=1", "cpu=1")
	two.Spec.Containers = append(two.Spec.Containers, *two.Spec.Containers[0].DeepCopy())
	for what, x := range map[string]struct {
		item corev1.LimitRangeItem
		pod  *corev1.Pod
		want string
	}{
		"request below minimum": {corev1.LimitRangeItem{Type: "Container", Min: list("cpu=200m")}, podWith("cpu=100m", ""), "minimum cpu usage per Container is 200m, but request is 100m"},
		"limit below minimum":   {corev1.LimitRangeItem{Type: "Container", Min: list("cpu=200m")}, podWith("cpu=200m", "cpu=100m"), "minimum cpu usage per Container is 200m, but limit is 100m"},
		"no request":            {corev1.LimitRangeItem{Type: "Container", Min: list("cpu=200m")}, podWith("", ""), "minimum cpu usage per Container is 200m.  No request is specified"},
		"limit above maximum":   {corev1.LimitRangeItem{Type: "Container", Max: list("memory=1Gi")}, podWith("", "memory=2Gi"), "maximum memory usage per Container is 1Gi, but limit is 2Gi"},
		"request above maximum": {corev1.LimitRangeItem{Type: "Container", Max: list("memory=1Gi")}, podWith("memory=2Gi", "memory=1Gi"), "maximum memory usage per Container is 1Gi, but request is 2Gi"},
		"no limit":              {corev1.LimitRangeItem{Type: "Container", Max: list("memory=1Gi")}, podWith("memory=1Gi", ""), "maximum memory usage per Container is 1Gi.  No limit is specified"},
		"two problems":          {corev1.LimitRangeItem{Type: "Container", Max: list("cpu=1 memory=1Gi")}, podWith("", "cpu=2 memory=2Gi"), "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]"},
		"ratio":                 {corev1.LimitRangeItem{Type: "Container", MaxLimitRequestRatio: list("cpu=2")}, podWith("cpu=100m", "cpu=250m"), "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000"},
		"ratio of nothing":      {corev1.LimitRangeItem{Type: "Container", MaxLimitRequestRatio: list("cpu=2")}, podWith("cpu=0", "cpu=1"), "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		"ratio without limit":   {corev1.LimitRangeItem{Type: "Container", MaxLimitRequestRatio: list("cpu=2")}, podWith("cpu=1", ""), "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"},
		"ratio that fits":       {corev1.LimitRangeItem{Type: "Container", MaxLimitRequestRatio: list("cpu=2")}, podWith("cpu=100m", "cpu=200m"), ""},
		"whole pod":             {corev1.LimitRangeItem{Type: "Pod", Max: list("cpu=1500m")}, two, "maximum cpu usage per Pod is 1500m, but limit is 2"},
		"defaults fit":          {corev1.LimitRangeItem{Type: "Container", Min: list("cpu=1"), DefaultRequest: list("cpu=1")}, podWith("", ""), ""},
	} {
		t.Run(what, func(t *testing.T) {
			// As it is: the defaults that a LimitRange derives from its bounds are not this plugin's.
			l := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{x.item}}}
			pod := x.pod.DeepCopy()
			defaultContainers(pod, l)
			got := ""
			if err := utilerrors.NewAggregate(checkPod(&l.Spec.Limits[0], pod)); err != nil {
				got = err.Error()
			}
			if got != x.want {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}

func TestServiceAccountSecrets(t *testing.T) {
	k := clienttest.New(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "strict", Annotations: map[string]string{enforceSecrets: "true"}}, Secrets: []corev1.ObjectReference{{Name: "mine"}}})
	c := NewChain(Config{Reader: k})
	for what, x := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"nothing": {func(*corev1.Pod) {}, ""},
		"listed": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mine"}}}}
		}, ""},
		"volume": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}}
		}, `volume with secret.secretName="s" is not allowed because service account strict does not reference that secret`},
		"pull": {func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}} }, `imagePullSecrets[].name="s" is not allowed because service account strict does not reference that imagePullSecret`},
	} {
		p := podWith("", "")
		p.Spec.ServiceAccountName = "strict"
		x.change(p)
		if got := try(t, c, Attributes{Operation: Create, User: user("x"), Object: p}); got != x.want {
			t.Errorf("%s: %q, want %q", what, got, x.want)
		}
	}
}

func TestPodSecurity(t *testing.T) {
	ns := func(name string, labels ...string) *corev1.Namespace {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
		for _, l := range labels {
			k, v, _ := strings.Cut(l, "=")
			n.Labels["pod-security.kubernetes.io/"+k] = v
		}
		return n
	}
	class := "vm"
	k := clienttest.New(ns("free"), ns("base", "enforce=baseline"), ns("old", "enforce=baseline", "enforce-version=v1.20"), ns("warns", "warn=restricted"), ns("exempt", "enforce=restricted"))
	p := newPodSecurity(k, Exemptions{Namespaces: []string{"exempt"}, Usernames: []string{"root"}, RuntimeClasses: []string{class}})
	host := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		if change != nil {
			change(p)
		}
		return p
	}
	const violates = `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`
	for what, x := range map[string]struct {
		ns, user string
		pod, old *corev1.Pod
		want     string
		warns    bool
	}{
		"no labels":            {"free", "u", host(nil), nil, "", false},
		"baseline":             {"base", "u", host(nil), nil, violates, false},
		"exempt namespace":     {"exempt", "u", host(nil), nil, "", false},
		"exempt user":          {"base", "root", host(nil), nil, "", false},
		"exempt runtime class": {"base", "u", host(func(p *corev1.Pod) { p.Spec.RuntimeClassName = &class }), nil, "", false},
		"warning":              {"warns", "u", host(nil), nil, "", true},
		"nothing that matters": {"base", "u", host(nil), host(nil), "", false},
		"another image":        {"base", "u", host(nil), host(func(p *corev1.Pod) { p.Spec.Containers[0].Image = "j" }), violates, false},
		"pinned version": {"old", "u", host(nil), nil,
			`violates PodSecurity "baseline:v1.20": host namespaces (hostNetwork=true)`, false},
	} {
		var warnings []string
		a := Attributes{Operation: Create, User: user(x.user), Resource: all.For[*corev1.Pod](), Namespace: x.ns, Name: "p", Object: x.pod, Warn: func(s string) { warnings = append(warnings, s) }}
		if x.old != nil {
			a.Operation, a.Old = Update, x.old
		}
		got := ""
		if err := p.pod(t.Context(), &a); err != nil {
			_, got, _ = strings.Cut(err.Error(), " is forbidden: ")
		}
		if got != x.want {
			t.Errorf("%s: %q, want %q", what, got, x.want)
		}
		if x.warns != slices.ContainsFunc(warnings, func(s string) bool { return strings.HasPrefix(s, `would violate PodSecurity "restricted:latest": `) }) {
			t.Errorf("%s: warnings %q", what, warnings)
		}
	}
}
