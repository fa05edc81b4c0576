package kubelet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skiff-k8s/skiff/internal/client"
)

// variable is one resolved environment variable.
type variable struct{ Name, Value string }

// environment is what a container finds in its environment: the Services of its
// namespace, then envFrom, then env, each able to use what came before it.
func (w *worker) environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container) ([]variable, error) {
	services, err := w.serviceVariables(ctx, pod)
	if err != nil {
		return nil, err
	}
	var out []variable
	index := map[string]int{}
	set := func(name, value string) {
		if i, ok := index[name]; ok {
			out[i].Value = value
			return
		}
		index[name] = len(out)
		out = append(out, variable{name, value})
	}
	for _, from := range c.EnvFrom {
		data, err := w.envFrom(ctx, pod, from)
		if err != nil {
			return nil, err
		}
		for _, v := range data {
			set(from.Prefix+v.Name, v.Value)
		}
	}
	for _, e := range c.Env {
		value := e.Value
		switch {
		case value != "":
			value = expand(value, func(name string) (string, bool) {
				if i, ok := index[name]; ok {
					return out[i].Value, true
				}
				v, ok := services[name]
				return v, ok
			})
		case e.ValueFrom != nil:
			v, ok, err := w.valueFrom(ctx, pod, c, e.ValueFrom)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			value = v
		}
		set(e.Name, value)
	}
	names := make([]string, 0, len(services))
	for name := range services {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := index[name]; !ok {
			set(name, services[name])
		}
	}
	return out, nil
}

// expand replaces $(NAME) by its value; $$ stands for a dollar sign, and what is not known stays as it is.
func expand(s string, value func(string) (string, bool)) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				b.WriteString("$(")
				i++
				continue
			}
			name := s[i+2 : i+end]
			if v, ok := value(name); ok {
				b.WriteString(v)
			} else {
				b.WriteString(s[i : i+end+1])
			}
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

func lookup(env []variable) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range env {
			if v.Name == name {
				return v.Value, true
			}
		}
		return "", false
	}
}

func expandAll(words []string, env []variable) []string {
	out := make([]string, len(words))
	for i, s := range words {
		out[i] = expand(s, lookup(env))
	}
	return out
}

func (w *worker) envFrom(ctx context.Context, pod *corev1.Pod, from corev1.EnvFromSource) ([]variable, error) {
	var out []variable
	var invalid []string
	add := func(key, value string) {
		if len(validation.IsEnvVarName(from.Prefix+key)) > 0 {
			invalid = append(invalid, key)
			return
		}
		out = append(out, variable{key, value})
	}
	switch {
	case from.ConfigMapRef != nil:
		cm, err := client.Get[*corev1.ConfigMap](ctx, w.k.Client, pod.Namespace, from.ConfigMapRef.Name)
		if err != nil {
			if apierrors.IsNotFound(err) && deref(from.ConfigMapRef.Optional) {
				return nil, nil
			}
			return nil, err
		}
		for key, v := range cm.Data {
			add(key, v)
		}
	case from.SecretRef != nil:
		s, err := client.Get[*corev1.Secret](ctx, w.k.Client, pod.Namespace, from.SecretRef.Name)
		if err != nil {
			if apierrors.IsNotFound(err) && deref(from.SecretRef.Optional) {
				return nil, nil
			}
			return nil, err
		}
		for key, v := range s.Data {
			add(key, string(v))
		}
	}
	if len(invalid) > 0 {
		slices.Sort(invalid)
		w.k.event(pod, "", corev1.EventTypeWarning, "InvalidEnvironmentVariableNames", "Keys [%s] from the EnvFrom source were skipped since they are considered invalid environment variable names.", strings.Join(invalid, ", "))
	}
	slices.SortFunc(out, func(a, b variable) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// valueFrom resolves a reference; ok is false when an optional one leads nowhere.
func (w *worker) valueFrom(ctx context.Context, pod *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (value string, ok bool, err error) {
	switch {
	case from.FieldRef != nil:
		v, err := w.podField(pod, from.FieldRef.FieldPath)
		return v, true, err
	case from.ResourceFieldRef != nil:
		v, err := w.resourceField(pod, c, from.ResourceFieldRef)
		return v, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		cm, err := client.Get[*corev1.ConfigMap](ctx, w.k.Client, pod.Namespace, ref.Name)
		if err != nil {
			if apierrors.IsNotFound(err) && deref(ref.Optional) {
				return "", false, nil
			}
			return "", false, err
		}
		v, ok := cm.Data[ref.Key]
		if !ok && !deref(ref.Optional) {
			return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, pod.Namespace, ref.Name)
		}
		return v, ok, nil
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		s, err := client.Get[*corev1.Secret](ctx, w.k.Client, pod.Namespace, ref.Name)
		if err != nil {
			if apierrors.IsNotFound(err) && deref(ref.Optional) {
				return "", false, nil
			}
			return "", false, err
		}
		v, ok := s.Data[ref.Key]
		if !ok && !deref(ref.Optional) {
			return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, pod.Namespace, ref.Name)
		}
		return string(v), ok, nil
	}
	return "", false, nil
}

// podField is a field of the pod as the downward API gives it.
func (w *worker) podField(pod *corev1.Pod, path string) (string, error) {
	base, key, subscripted := strings.Cut(path, "['")
	key = strings.TrimSuffix(key, "']")
	if subscripted {
		switch base {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
		return "", fmt.Errorf("fieldPath %q does not support subscript", path)
	}
	ips := w.seen.ips()
	if pod.Spec.HostNetwork {
		ips = []string{w.k.NodeIP}
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return formatMap(pod.Labels), nil
	case "metadata.annotations":
		return formatMap(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return w.k.NodeIP, nil
	case "status.podIP":
		if len(ips) == 0 {
			return "", nil
		}
		return ips[0], nil
	case "status.podIPs":
		return strings.Join(ips, ","), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %s", path)
}

func formatMap(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s=%q", k, m[k])
	}
	return b.String()
}

func (w *worker) resourceField(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		if c = findContainer(pod, ref.ContainerName); c == nil {
			return "", fmt.Errorf("container %s not found", ref.ContainerName)
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := c.Resources.Requests
	if kind == "limits" {
		list = c.Resources.Limits
	}
	q, ok := list[corev1.ResourceName(name)]
	if !ok && kind == "limits" {
		// What is not limited may use the whole node.
		switch corev1.ResourceName(name) {
		case corev1.ResourceCPU:
			q = *resource.NewQuantity(int64(w.k.machine.cpus), resource.DecimalSI)
		case corev1.ResourceMemory:
			q = *resource.NewQuantity(w.k.machine.memory, resource.BinarySI)
		}
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if corev1.ResourceName(name) == corev1.ResourceCPU {
		return strconv.FormatInt(ceilDiv(q.MilliValue(), divisor.MilliValue()), 10), nil
	}
	return strconv.FormatInt(ceilDiv(q.Value(), divisor.Value()), 10), nil
}

func ceilDiv(a, b int64) int64 {
	if b == 0 {
		return a
	}
	return (a + b - 1) / b
}

// serviceVariables describe the Services of the pod's namespace and the API server's.
func (w *worker) serviceVariables(ctx context.Context, pod *corev1.Pod) (map[string]string, error) {
	out := map[string]string{}
	if api, err := client.Get[*corev1.Service](ctx, w.k.Client, "default", "kubernetes"); err == nil {
		describeService(out, api)
	}
	if pod.Spec.EnableServiceLinks != nil && !*pod.Spec.EnableServiceLinks {
		return out, nil
	}
	services, err := client.List[*corev1.Service](ctx, w.k.Client, pod.Namespace, nil)
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		describeService(out, s)
	}
	return out, nil
}

func describeService(out map[string]string, s *corev1.Service) {
	ip := s.Spec.ClusterIP
	if ip == "" || ip == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
		return
	}
	name := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
	out[name+"_SERVICE_HOST"] = ip
	out[name+"_SERVICE_PORT"] = strconv.Itoa(int(s.Spec.Ports[0].Port))
	for i, p := range s.Spec.Ports {
		port, proto := strconv.Itoa(int(p.Port)), string(p.Protocol)
		if p.Name != "" {
			out[name+"_SERVICE_PORT_"+strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))] = port
		}
		// The form that Docker's links had.
		url := strings.ToLower(proto) + "://" + net.JoinHostPort(ip, port)
		if i == 0 {
			out[name+"_PORT"] = url
		}
		prefix := name + "_PORT_" + port + "_" + strings.ToUpper(proto)
		out[prefix] = url
		out[prefix+"_PROTO"] = strings.ToLower(proto)
		out[prefix+"_PORT"] = port
		out[prefix+"_ADDR"] = ip
	}
}
