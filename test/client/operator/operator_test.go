// Package operator runs a small operator, built with controller-runtime, against a
// Skiff server: for each ConfigMap with the label "app" it keeps a Deployment.
package operator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

const finalizer = "example.com/farewell"

// reconciler is the operator: a Deployment per labelled ConfigMap, with as many
// replicas as it says; the image goes into an annotation, a farewell precedes the end.
type reconciler struct {
	client.Client
	identity string
	events   events.EventRecorder
}

func (r *reconciler) Reconcile(ctx context.Context, q ctrl.Request) (ctrl.Result, error) {
	var cm corev1.ConfigMap
	if err := r.Get(ctx, q.NamespacedName, &cm); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !cm.DeletionTimestamp.IsZero() {
		if !controllerutil.RemoveFinalizer(&cm, finalizer) {
			return ctrl.Result{}, nil
		}
		bye := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: cm.Name + "-farewell", Namespace: cm.Namespace}}
		if err := r.Create(ctx, bye); err != nil && !apierrors.IsAlreadyExists(err) {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, r.Update(ctx, &cm)
	}
	if controllerutil.AddFinalizer(&cm, finalizer) {
		if err := r.Update(ctx, &cm); err != nil {
			return ctrl.Result{}, err
		}
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: cm.Name, Namespace: cm.Namespace}}
	done, err := controllerutil.CreateOrUpdate(ctx, r.Client, d, func() error {
		labels := map[string]string{"app": cm.Name}
		d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
		d.Spec.Template.Labels = labels
		if len(d.Spec.Template.Spec.Containers) == 0 {
			d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main"}}
		}
		d.Spec.Template.Spec.Containers[0].Image = cm.Data["image"]
		return controllerutil.SetControllerReference(&cm, d, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if done != controllerutil.OperationResultNone {
		r.events.Eventf(&cm, d, corev1.EventTypeNormal, "Deployed", "Deploy", "Deployment %s", done)
	}
	was := d.DeepCopy()
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations["example.com/by"] = r.identity
	d.Annotations["example.com/image"] = cm.Data["image"]
	if err := r.Patch(ctx, d, client.MergeFrom(was)); err != nil {
		return ctrl.Result{}, err
	}
	was = d.DeepCopy()
	condition := appsv1.DeploymentCondition{Type: "Operated", Status: corev1.ConditionTrue, Reason: "Reconciled"}
	for _, c := range d.Status.Conditions {
		if c.Type == condition.Type {
			return ctrl.Result{}, nil
		}
	}
	d.Status.Conditions = append(d.Status.Conditions, condition)
	return ctrl.Result{}, r.Status().Patch(ctx, d, client.StrategicMergeFrom(was))
}

// manager starts an operator with a name; stop ends it and waits for its end.
func manager(t *testing.T, kubeconfig, identity string) (m ctrl.Manager, stop func()) {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	check(t, err)
	cfg.UserAgent = identity
	again := true
	// Who leads goes on leading while the server is away for a while; who ends lets go at once.
	lease, deadline, period := 60*time.Second, 50*time.Second, 100*time.Millisecond
	m, err = ctrl.NewManager(cfg, ctrl.Options{
		Scheme:         scheme.Scheme,
		Metrics:        server.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionID: "operator", LeaderElectionNamespace: "default", LeaderElectionReleaseOnCancel: true,
		LeaseDuration: &lease, RenewDeadline: &deadline, RetryPeriod: &period,
		Controller: config.Controller{SkipNameValidation: &again},
	})
	check(t, err)
	check(t, m.GetFieldIndexer().IndexField(context.Background(), &corev1.ConfigMap{}, "image", func(o client.Object) []string {
		return []string{o.(*corev1.ConfigMap).Data["image"]}
	}))
	labelled, err := predicate.LabelSelectorPredicate(metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpExists}}})
	check(t, err)
	r := &reconciler{m.GetClient(), identity, m.GetEventRecorder("example.com/operator")}
	check(t, ctrl.NewControllerManagedBy(m).For(&corev1.ConfigMap{}, builder.WithPredicates(labelled)).Owns(&appsv1.Deployment{}).Complete(r))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", identity, err)
		}
	}
	t.Cleanup(stop)
	return m, stop
}

func TestOperator(t *testing.T) {
	log.SetLogger(logr.Discard())
	s, err := instance.Start(t.TempDir())
	if errors.Is(err, instance.ErrNotBuilt) {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.Log())
		}
	})
	cfg, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	check(t, err)
	c, err := client.New(cfg, client.Options{Scheme: scheme.Scheme})
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()

	one, stopOne := manager(t, s.Kubeconfig, "one")
	<-one.Elected()
	two, _ := manager(t, s.Kubeconfig, "two")
	create := func(name string) *corev1.ConfigMap {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": name}}, Data: map[string]string{"image": "nginx:1"}}
		eventually(t, name+" is created", func() bool { return created(t, c.Create(ctx, cm)) })
		return cm
	}
	deployment := func(name string, is func(*appsv1.Deployment) bool) {
		t.Helper()
		var d appsv1.Deployment
		eventually(t, "the Deployment of "+name, func() bool {
			d = appsv1.Deployment{}
			err := c.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &d)
			check(t, client.IgnoreNotFound(err))
			return err == nil && is(&d)
		})
	}

	// Made, with an owner, an annotation, a condition and an event.
	a := create("a")
	deployment("a", func(d *appsv1.Deployment) bool {
		conditions := ""
		for _, c := range d.Status.Conditions {
			conditions += string(c.Type) + " "
		}
		return metav1.IsControlledBy(d, a) && d.Annotations["example.com/by"] == "one" && strings.Contains(conditions, "Operated")
	})
	eventually(t, "the event", func() bool {
		var l corev1.EventList
		check(t, c.List(ctx, &l, client.InNamespace("default"), client.MatchingFields{"involvedObject.name": "a", "reason": "Deployed"}))
		return len(l.Items) > 0 && l.Items[0].ReportingController == "example.com/operator"
	})

	// Changed at either end, made good again.
	check(t, c.Patch(ctx, a, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"image":"nginx:2"}}`))))
	deployment("a", func(d *appsv1.Deployment) bool { return d.Spec.Template.Spec.Containers[0].Image == "nginx:2" })
	check(t, c.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}}))
	deployment("a", func(d *appsv1.Deployment) bool {
		return d.DeletionTimestamp == nil && d.Annotations["example.com/image"] == "nginx:2"
	})
	eventually(t, "the cache's index", func() bool {
		var l corev1.ConfigMapList
		check(t, one.GetClient().List(ctx, &l, client.MatchingFields{"image": "nginx:2"}))
		return len(l.Items) == 1 && l.Items[0].Name == "a"
	})

	// The leader goes; the other takes over.
	stopOne()
	select {
	case <-two.Elected():
	case <-ctx.Done():
		t.Fatal("nobody takes over")
	}
	var lease coordinationv1.Lease
	check(t, c.Get(ctx, client.ObjectKey{Namespace: "default", Name: "operator"}, &lease))
	if lease.Spec.HolderIdentity == nil || *lease.Spec.LeaseTransitions < 1 {
		t.Errorf("lease: %+v", lease.Spec)
	}
	create("b")
	deployment("b", func(d *appsv1.Deployment) bool { return d.Annotations["example.com/by"] == "two" })

	// The server crashes and comes back; the operator goes on.
	s.Kill()
	check(t, s.Again())
	create("c")
	deployment("c", func(d *appsv1.Deployment) bool { return d.Annotations["example.com/by"] == "two" })

	// Deleted: the farewell is said, then the ConfigMap goes, then what it owned.
	check(t, c.Delete(ctx, a, client.PropagationPolicy(metav1.DeletePropagationForeground)))
	for _, o := range []client.Object{&corev1.ConfigMap{}, &appsv1.Deployment{}} {
		eventually(t, "a is gone", func() bool {
			return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(a), o))
		})
	}
	check(t, c.Get(ctx, client.ObjectKey{Namespace: "default", Name: "a-farewell"}, &corev1.ConfigMap{}))
}

// created tells whether something was created: by this request, or by one before whose answer was lost
// because the server had left the connection that it went over.
func created(t *testing.T, err error) bool {
	t.Helper()
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return err == nil || apierrors.IsAlreadyExists(err)
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); <-tick.C {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
