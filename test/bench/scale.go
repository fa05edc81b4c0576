package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// gatedPod is a pod of some 4 KB as controllers make them, which nobody may schedule.
func gatedPod(name string) *corev1.Pod {
	probe := func() *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz"}}, PeriodSeconds: 10}
	}
	c := func(name string) corev1.Container {
		c := corev1.Container{Name: name, Image: "registry.example.com/team/service:v1.27.3", LivenessProbe: probe(), ReadinessProbe: probe(),
			Args:      []string{"--listen=:8080", "--log-format=json", "--config=/etc/service/config.yaml"},
			Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}}}
		c.LivenessProbe.HTTPGet.Port.IntVal, c.ReadinessProbe.HTTPGet.Port.IntVal = 8080, 8080
		for i := range 8 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "some value of usual length"})
		}
		return c
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "service", "team": "platform", "pod-template-hash": "7c6d5f8b9"}, Annotations: map[string]string{"example.com/checksum": strings.Repeat("a1", 32)}},
		Spec: corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "example.com/never"}},
			Containers: []corev1.Container{c("service"), c("sidecar")},
			Volumes:    []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}},
	}
}

// many measures what a server does with many pods and many watchers.
func (b *bench) many(ctx context.Context, c []*kubernetes.Clientset) {
	_, err := c[0].CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "many"}}, metav1.CreateOptions{})
	check(err)
	b.waitAccount(ctx, c[0])
	before := rss(b.pid)
	b.drive("create pod of 4 KB", c, *pods, func(c *kubernetes.Clientset, i int) error {
		_, err := c.CoreV1().Pods("many").Create(ctx, gatedPod("p-"+strconv.Itoa(i)), metav1.CreateOptions{})
		return err
	})
	time.Sleep(3 * time.Second)
	b.row(fmt.Sprintf("%d pods more in memory (RSS)", *pods), "%d MiB", (rss(b.pid)-before)>>20)
	for _, media := range []string{"application/vnd.kubernetes.protobuf", "application/json"} {
		for _, which := range []string{"first", "again"} {
			began, used := time.Now(), cpu(b.pid)
			n := b.read(ctx, c[0], media)
			b.row(fmt.Sprintf("list %d pods, %s, %s", *pods, media[len("application/"):], which), "%.0f ms, %.3f server CPU s, %.1f MB",
				time.Since(began).Seconds()*1e3, (cpu(b.pid) - used).Seconds(), float64(n)/1e6)
		}
	}
	all := make([]*corev1.Pod, 500)
	for i := range all {
		all[i], err = c[0].CoreV1().Pods("many").Get(ctx, "p-"+strconv.Itoa(i), metav1.GetOptions{})
		check(err)
	}
	b.drive("pod status update", c, 10000, func(c *kubernetes.Clientset, i int) error {
		p := all[i%len(all)].DeepCopy()
		p.ResourceVersion = ""
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: strconv.Itoa(i), LastTransitionTime: metav1.Now()}}
		_, err := c.CoreV1().Pods("many").UpdateStatus(ctx, p, metav1.UpdateOptions{})
		return err
	})
	b.fan(ctx, c)
}

// waitAccount waits for the service account that pods need.
func (b *bench) waitAccount(ctx context.Context, c *kubernetes.Clientset) {
	w, err := c.CoreV1().ServiceAccounts("many").Watch(ctx, metav1.ListOptions{})
	check(err)
	defer w.Stop()
	if _, err := c.CoreV1().ServiceAccounts("many").Get(ctx, "default", metav1.GetOptions{}); err == nil {
		return
	}
	<-w.ResultChan()
}

// read lists the pods without decoding them and returns the size of the answer.
func (b *bench) read(ctx context.Context, c *kubernetes.Clientset, media string) int64 {
	body, err := c.CoreV1().RESTClient().Get().Namespace("many").Resource("pods").SetHeader("Accept", media).SetHeader("Accept-Encoding", "identity").Stream(ctx)
	check(err)
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	check(err)
	return n
}

const (
	watchers  = 100
	fanWrites = 1000
	fanRate   = 200
)

// fan measures how long writes take to reach many watchers: such that only read, which shows
// the server, and such that decode, whose clients are most of what is then measured.
func (b *bench) fan(ctx context.Context, c []*kubernetes.Clientset) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "fan"}, Data: map[string]string{"d": strings.Repeat("x", 1024), "at": strconv.FormatInt(time.Now().UnixNano(), 10)}}
	cm, err := c[0].CoreV1().ConfigMaps("many").Create(ctx, cm, metav1.CreateOptions{})
	check(err)
	b.fanTo(ctx, c, cm, "they only read", func() func() []time.Duration {
		return b.readers(ctx, "/api/v1/namespaces/many/configmaps?watch=1&timeoutSeconds=600&resourceVersion="+cm.ResourceVersion, watchers, fanWrites)
	})
	cm, err = c[0].CoreV1().ConfigMaps("many").Get(ctx, "fan", metav1.GetOptions{})
	check(err)
	b.fanTo(ctx, c, cm, fmt.Sprintf("they decode on the same %d cores", runtime.NumCPU()), func() func() []time.Duration {
		return b.decoders(ctx, c, cm.ResourceVersion)
	})
}

func (b *bench) fanTo(ctx context.Context, c []*kubernetes.Clientset, cm *corev1.ConfigMap, who string, open func() func() []time.Duration) {
	wait := open()
	time.Sleep(500 * time.Millisecond)
	used := cpu(b.pid)
	tick := time.NewTicker(time.Second / fanRate)
	defer tick.Stop()
	for range fanWrites {
		<-tick.C
		cm.Data["at"] = strconv.FormatInt(time.Now().UnixNano(), 10)
		cm.ResourceVersion = ""
		_, err := c[len(c)-1].CoreV1().ConfigMaps("many").Update(ctx, cm, metav1.UpdateOptions{})
		check(err)
	}
	delays := wait()
	slices.Sort(delays)
	b.row(fmt.Sprintf("%d watchers, %d writes/s: delivery (%s)", watchers, fanRate, who), "p50 %.2f ms, p99 %.2f ms, %.2f server CPU s for %d writes",
		delays[len(delays)/2].Seconds()*1e3, delays[len(delays)*99/100].Seconds()*1e3, (cpu(b.pid) - used).Seconds(), fanWrites)
}

// decoders are watchers as programs have them.
func (b *bench) decoders(ctx context.Context, c []*kubernetes.Clientset, from string) func() []time.Duration {
	var mu sync.Mutex
	var delays []time.Duration
	var done sync.WaitGroup
	for i := range watchers {
		w, err := c[i%min(10, len(c))].CoreV1().ConfigMaps("many").Watch(ctx, metav1.ListOptions{ResourceVersion: from})
		check(err)
		done.Go(func() {
			defer w.Stop()
			mine := make([]time.Duration, 0, fanWrites)
			for e := range w.ResultChan() {
				o, ok := e.Object.(*corev1.ConfigMap)
				if !ok {
					continue
				}
				sent, _ := strconv.ParseInt(o.Data["at"], 10, 64)
				if mine = append(mine, time.Since(time.Unix(0, sent))); len(mine) == fanWrites {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, mine...)
		})
	}
	return func() []time.Duration { done.Wait(); return delays }
}
