package kubelet

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/client"
)

// Static pods are files in a directory. Each is shown in the API as a mirror pod,
// an object of ours that this kubelet runs like any other; its file decides whether it is there.

// followStatic keeps the mirror pods what the files say.
func (k *Kubelet) followStatic(ctx context.Context) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return err
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	if _, err := unix.InotifyAddWatch(fd, k.StaticPodDir, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE); err != nil {
		return err
	}
	// Closed, not given a deadline: the loop sets deadlines itself, and could take that one back.
	stop := context.AfterFunc(ctx, func() { watch.Close() })
	defer stop()
	buf := make([]byte, 4096)
	for {
		wait := time.Duration(0)
		if err := k.syncStatic(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("static pods", "err", err)
			wait = 10 * time.Second
		}
		if wait > 0 {
			watch.SetReadDeadline(time.Now().Add(wait))
		} else {
			watch.SetReadDeadline(time.Time{})
		}
		_, err := watch.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func (k *Kubelet) syncStatic(ctx context.Context) error {
	want := map[string]*corev1.Pod{}
	es, err := os.ReadDir(k.StaticPodDir)
	if err != nil {
		return err
	}
	var problems []error
	for _, e := range es {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		pod, err := k.readStatic(filepath.Join(k.StaticPodDir, e.Name()))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		want[pod.Namespace+"/"+pod.Name] = pod
	}
	pods, err := client.List[*corev1.Pod](ctx, k.Client, "", nil)
	if err != nil {
		return err
	}
	for _, have := range pods {
		if have.Spec.NodeName != k.NodeName || have.Annotations[corev1.MirrorPodAnnotationKey] == "" {
			continue
		}
		key := have.Namespace + "/" + have.Name
		pod := want[key]
		if pod != nil && have.Annotations[corev1.MirrorPodAnnotationKey] == pod.Annotations[corev1.MirrorPodAnnotationKey] && have.DeletionTimestamp == nil {
			delete(want, key)
			continue
		}
		// Gone or changed: a new one is made when this one is over.
		if have.DeletionTimestamp == nil {
			if err := client.Delete[*corev1.Pod](ctx, k.Client, have.Namespace, have.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				problems = append(problems, err)
			}
		}
		if pod != nil {
			problems = append(problems, fmt.Errorf("static pod %s is being replaced", key))
			delete(want, key)
		}
	}
	for _, pod := range want {
		if _, err := client.Create(ctx, k.Client, pod); err != nil && !apierrors.IsAlreadyExists(err) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (k *Kubelet) readStatic(file string) (*corev1.Pod, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(b, pod); err != nil {
		return nil, fmt.Errorf("static pod %s: %w", file, err)
	}
	if pod.Kind != "Pod" || pod.Name == "" {
		return nil, fmt.Errorf("static pod %s: it is not a Pod with a name", file)
	}
	sum := md5.Sum(append(b, k.NodeName...))
	hash := hex.EncodeToString(sum[:])
	pod.Name += "-" + k.NodeName
	if pod.Namespace == "" {
		pod.Namespace = metav1.NamespaceDefault
	}
	pod.UID = types.UID(hash)
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations["kubernetes.io/config.source"] = "file"
	pod.Annotations["kubernetes.io/config.hash"] = hash
	pod.Annotations["kubernetes.io/config.seen"] = time.Now().UTC().Format(time.RFC3339Nano)
	pod.Annotations[corev1.MirrorPodAnnotationKey] = hash
	pod.Spec.NodeName = k.NodeName
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute})
	return pod, nil
}
