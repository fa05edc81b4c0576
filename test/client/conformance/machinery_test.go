package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

func TestServer(t *testing.T) {
	conform(t, "[sig-api-machinery] server version should find the server version", func(t *T) {
		v, err := t.c.Discovery().ServerVersion()
		t.ok(err)
		number := regexp.MustCompile(`^\d+$`)
		t.want(number.MatchString(v.Major) && number.MatchString(v.Minor), "%s.%s", v.Major, v.Minor)
	})
	conform(t, "[sig-api-machinery] health should be told", func(t *T) {
		for _, path := range []string{"/healthz", "/livez", "/readyz", "/livez/ping"} {
			b, code, err := t.raw(path, "")
			t.ok(err)
			t.want(code == 200 && string(b) == "ok", "%s: %d %q", path, code, b)
		}
	})
	conform(t, "[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup", func(t *T) {
		var groups metav1.APIGroupList
		t.ok(t.c.Discovery().RESTClient().Get().AbsPath("/apis").Do(t.ctx).Into(&groups))
		for _, listed := range groups.Groups {
			if strings.HasSuffix(listed.Name, ".example.com") {
				continue
			}
			var g metav1.APIGroup
			t.ok(t.c.Discovery().RESTClient().Get().AbsPath("/apis/" + listed.Name).Do(t.ctx).Into(&g))
			found := false
			for _, v := range g.Versions {
				found = found || v.GroupVersion == g.PreferredVersion.GroupVersion
			}
			t.want(found && g.PreferredVersion == listed.PreferredVersion, "%s prefers %v among %v", g.Name, g.PreferredVersion, g.Versions)
		}
	})
	conform(t, "[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup", func(t *T) {
		for _, k := range []struct{ group, version, resource string }{
			{"apiregistration.k8s.io", "v1", "apiservices"}, {"apps", "v1", "deployments"}, {"authentication.k8s.io", "v1", "tokenreviews"},
			{"authorization.k8s.io", "v1", "selfsubjectaccessreviews"}, {"autoscaling", "v1", "horizontalpodautoscalers"}, {"autoscaling", "v2", "horizontalpodautoscalers"},
			{"batch", "v1", "jobs"}, {"certificates.k8s.io", "v1", "certificatesigningrequests"}, {"networking.k8s.io", "v1", "ingresses"},
			{"policy", "v1", "poddisruptionbudgets"}, {"rbac.authorization.k8s.io", "v1", "clusterroles"}, {"storage.k8s.io", "v1", "storageclasses"},
			{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations"}, {"apiextensions.k8s.io", "v1", "customresourcedefinitions"},
			{"scheduling.k8s.io", "v1", "priorityclasses"}, {"coordination.k8s.io", "v1", "leases"}, {"node.k8s.io", "v1", "runtimeclasses"},
			{"discovery.k8s.io", "v1", "endpointslices"}, {"flowcontrol.apiserver.k8s.io", "v1", "flowschemas"}, {"events.k8s.io", "v1", "events"},
			{"resource.k8s.io", "v1", "resourceclaims"},
		} {
			list, err := t.c.Discovery().ServerResourcesForGroupVersion(k.group + "/" + k.version)
			t.ok(err)
			found := false
			for _, r := range list.APIResources {
				found = found || r.Name == k.resource
			}
			t.want(found && list.GroupVersion == k.group+"/"+k.version, "%s is not in %s", k.resource, list.GroupVersion)
		}
	})
	conform(t, "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers", func(t *T) {
		for _, version := range []string{"v2", "v2beta1"} {
			accept := "application/json;g=apidiscovery.k8s.io;v=" + version + ";as=APIGroupDiscoveryList"
			for path, wanted := range map[string]string{"/apis": "apps/v1/deployments", "/api": "/v1/pods"} {
				b, _, err := t.raw(path, accept)
				if version == "v2beta1" && err != nil {
					continue // gone in newer servers
				}
				t.ok(err)
				t.want(inDiscovery(t, b)[wanted], "%s is not in %s %s", wanted, path, version)
			}
		}
	})
	conform(t, "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface", func(t *T) {
		_, resources, failed, err := t.c.Discovery().(interface {
			GroupsAndMaybeResources() (*metav1.APIGroupList, map[schema.GroupVersion]*metav1.APIResourceList, map[schema.GroupVersion]error, error)
		}).GroupsAndMaybeResources()
		t.ok(err)
		t.want(len(failed) == 0, "failed: %v", failed)
		for _, gv := range []schema.GroupVersion{{Group: "apps", Version: "v1"}, {Version: "v1"}, {Group: "batch", Version: "v1"}} {
			t.want(resources[gv] != nil && len(resources[gv].APIResources) > 0, "nothing in %v", gv)
		}
	})
	conform(t, "[sig-auth] SelfSubjectReview should support SelfSubjectReview API operations", func(t *T) {
		b, _, err := t.raw("/apis/authentication.k8s.io/v1", "application/json")
		t.ok(err)
		t.want(strings.Contains(string(b), `"selfsubjectreviews"`), "%s", b)
	})
}

// inDiscovery are the "group/version/resource" of an APIGroupDiscoveryList.
func inDiscovery(t *T, b []byte) map[string]bool {
	t.Helper()
	var list struct {
		Kind  string
		Items []struct {
			Metadata struct{ Name string }
			Versions []struct {
				Version, Freshness string
				Resources          []struct{ Resource string }
			}
		}
	}
	t.ok(json.Unmarshal(b, &list))
	t.want(list.Kind == "APIGroupDiscoveryList", "a list of kind %s", list.Kind)
	all := map[string]bool{}
	for _, g := range list.Items {
		for _, v := range g.Versions {
			for _, r := range v.Resources {
				all[g.Metadata.Name+"/"+v.Version+"/"+r.Resource] = true
			}
		}
	}
	return all
}

func TestTables(t *testing.T) {
	const accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
	conform(t, "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata", func(t *T) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: t.ns, Verb: "list", Resource: "services"}}}
		err := t.c.AuthorizationV1().RESTClient().Post().Resource("selfsubjectaccessreviews").SetHeader("Accept", accept).Body(review).Do(t.ctx).Error()
		t.refused(err, func(err error) bool {
			s, is := err.(apierrors.APIStatus)
			return is && s.Status().Code == 406
		})
	})
	conform(t, "[sig-api-machinery] Servers with support for Table transformation should return pod details", func(t *T) {
		_, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod("pod-1", t.ns), metav1.CreateOptions{})
		t.ok(err)
		var table metav1.Table
		b, _, err := t.raw("/api/v1/namespaces/"+t.ns+"/pods/pod-1", accept)
		t.ok(err)
		t.ok(json.Unmarshal(b, &table))
		t.want(len(table.ColumnDefinitions) > 2 && len(table.Rows) == 1 && len(table.Rows[0].Cells) == len(table.ColumnDefinitions) && table.Rows[0].Cells[0] == "pod-1", "%s", b)
	})
	conform(t, "[sig-api-machinery] Servers with support for Table transformation should return chunks of table results for list calls", func(t *T) {
		for i := range 20 {
			_, err := t.c.CoreV1().PodTemplates(t.ns).Create(t.ctx, podTemplate(fmt.Sprintf("template-%04d", i)), metav1.CreateOptions{})
			t.ok(err)
		}
		var first, rest metav1.Table
		path := "/api/v1/namespaces/" + t.ns + "/podtemplates"
		get := func(into *metav1.Table, next string) {
			b, err := t.c.CoreV1().RESTClient().Get().AbsPath(path).SetHeader("Accept", accept).Param("limit", "2").Param("continue", next).Do(t.ctx).Raw()
			t.ok(err)
			t.ok(json.Unmarshal(b, into))
		}
		get(&first, "")
		t.want(len(first.Rows) == 2 && first.Rows[0].Cells[0] == "template-0000" && first.Rows[1].Cells[0] == "template-0001" && first.Continue != "" && *first.RemainingItemCount == 18, "%+v", first)
		get(&rest, first.Continue)
		t.want(rest.Rows[0].Cells[0] == "template-0002", "%v", rest.Rows[0].Cells)
	})
}

func podTemplate(name string) *corev1.PodTemplate {
	return &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Name: name}, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "test2"}}}}}
}

func TestChunks(t *testing.T) {
	conform(t, "[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls", func(t *T) {
		const total = 400
		fill(t, total)
		api := t.c.CoreV1().PodTemplates(t.ns)
		opts := metav1.ListOptions{}
		found, version := 0, ""
		for {
			opts.Limit = rand.Int64N(total/10) + 1
			list, err := api.List(t.ctx, opts)
			t.ok(err)
			t.want(len(list.Items) <= int(opts.Limit), "%d of %d", len(list.Items), opts.Limit)
			if version == "" {
				version = list.ResourceVersion
			}
			t.want(list.ResourceVersion == version, "the version of a list changes from %s to %s", version, list.ResourceVersion)
			for i := range list.Items {
				t.want(list.Items[i].Name == fmt.Sprintf("template-%04d", found), "%s is number %d", list.Items[i].Name, found)
				found++
			}
			if list.Continue == "" {
				t.want(list.RemainingItemCount == nil, "%d remain at the end", list.RemainingItemCount)
				break
			}
			t.want(list.RemainingItemCount != nil && int(*list.RemainingItemCount)+found == total, "%v remain after %d", list.RemainingItemCount, found)
			opts.Continue = list.Continue
		}
		t.want(found == total, "%d were listed", found)
		list, err := api.List(t.ctx, metav1.ListOptions{Limit: total + 1})
		t.ok(err)
		t.want(len(list.Items) == total && list.Continue == "", "%d in one list", len(list.Items))
	})
	conform(t, "[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent", func(t *T) {
		// Upstream's test waits until the server forgets: this one is told to do it at once.
		s, err := instance.Start(t.TempDir(), "--history", "500ms")
		t.ok(err)
		t.Cleanup(s.Kill)
		forgetful, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
		t.ok(err)
		forgetful.QPS = -1
		t.c = kubernetes.NewForConfigOrDie(forgetful)
		t.ns = "default"
		const total, page = 40, 4
		fill(t, total)
		api := t.c.CoreV1().PodTemplates(t.ns)
		list, err := api.List(t.ctx, metav1.ListOptions{Limit: page})
		t.ok(err)
		first := metav1.ListOptions{Limit: page, Continue: list.Continue}
		var token string
		t.eventually("the token expires", func() bool {
			// Something must be written for there to be a past.
			_, _ = configMap(t, name("write"), nil)
			_, err := api.List(t.ctx, first)
			if err == nil {
				return false
			}
			t.refused(err, apierrors.IsResourceExpired)
			token = err.(apierrors.APIStatus).Status().ListMeta.Continue
			return true
		})
		version, found := "", page
		for next := token; next != ""; {
			list, err := api.List(t.ctx, metav1.ListOptions{Limit: page, Continue: next})
			if err != nil { // this list's version is forgotten as quickly
				t.refused(err, apierrors.IsResourceExpired)
				next, version = err.(apierrors.APIStatus).Status().ListMeta.Continue, ""
				continue
			}
			if version == "" {
				version = list.ResourceVersion
			}
			t.want(list.ResourceVersion == version && list.ResourceVersion != first.ResourceVersion, "the version goes from %s to %s", version, list.ResourceVersion)
			for _, p := range list.Items {
				t.want(p.Name == fmt.Sprintf("template-%04d", found), "%s is number %d", p.Name, found)
				found++
			}
			next = list.Continue
			t.want((next == "") == (list.RemainingItemCount == nil), "%v remain before %q", list.RemainingItemCount, next)
			if list.RemainingItemCount != nil {
				t.want(int(*list.RemainingItemCount)+found == total, "%d remain after %d", *list.RemainingItemCount, found)
			}
		}
		t.want(found == total && token != "", "%d were listed", found)
	})
	conform(t, "[sig-api-machinery] Servers with support for API chunking should refuse a token that cannot be read as one", func(t *T) {
		_, err := t.c.CoreV1().PodTemplates(t.ns).List(t.ctx, metav1.ListOptions{Limit: 1, Continue: "nonsense"})
		t.refused(err, apierrors.IsBadRequest)
	})
}

func fill(t *T, total int) {
	t.Helper()
	failed := make(chan error, total)
	for i := range total {
		go func() {
			_, err := t.c.CoreV1().PodTemplates(t.ns).Create(t.ctx, podTemplate(fmt.Sprintf("template-%04d", i)), metav1.CreateOptions{})
			failed <- err
		}()
	}
	for range total {
		t.ok(<-failed)
	}
}

func TestWatchers(t *testing.T) {
	labelled := func(name, value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"watch-this-configmap": value}}}
	}
	set := func(t *T, name, key, value string) *corev1.ConfigMap {
		t.Helper()
		cm, err := t.c.CoreV1().ConfigMaps(t.ns).Get(t.ctx, name, metav1.GetOptions{})
		t.ok(err)
		if key == "label" {
			cm.Labels["watch-this-configmap"] = value
		} else {
			cm.Data = map[string]string{key: value}
		}
		cm, err = t.c.CoreV1().ConfigMaps(t.ns).Update(t.ctx, cm, metav1.UpdateOptions{})
		t.ok(err)
		return cm
	}
	open := func(t *T, selector, version string) watch.Interface {
		t.Helper()
		w, err := t.c.CoreV1().ConfigMaps(t.ns).Watch(t.ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: version})
		t.ok(err)
		t.Cleanup(w.Stop)
		return w
	}
	expect := func(t *T, w watch.Interface, kind watch.EventType, name, data string) *corev1.ConfigMap {
		t.Helper()
		e := t.next(w)
		cm, is := e.Object.(*corev1.ConfigMap)
		if !is || e.Type != kind || cm.Name != name || cm.Data["mutation"] != data {
			t.Fatalf("%s of %+v, not %s of %s with mutation %q", e.Type, e.Object, kind, name, data)
		}
		return cm
	}
	conform(t, "[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps", func(t *T) {
		a, b, both := open(t, "watch-this-configmap=a", ""), open(t, "watch-this-configmap=b", ""), open(t, "watch-this-configmap in (a,b)", "")
		for _, v := range []string{"a", "b"} {
			w := map[string]watch.Interface{"a": a, "b": b}[v]
			_, err := t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, labelled(v, v), metav1.CreateOptions{})
			t.ok(err)
			set(t, v, "mutation", "1")
			set(t, v, "mutation", "2")
			t.ok(t.c.CoreV1().ConfigMaps(t.ns).Delete(t.ctx, v, metav1.DeleteOptions{}))
			for _, w := range []watch.Interface{w, both} {
				expect(t, w, watch.Added, v, "")
				expect(t, w, watch.Modified, v, "1")
				expect(t, w, watch.Modified, v, "2")
				expect(t, w, watch.Deleted, v, "2")
			}
		}
	})
	conform(t, "[sig-api-machinery] Watchers should be able to start watching from a specific resource version", func(t *T) {
		_, err := t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, labelled("from", "v"), metav1.CreateOptions{})
		t.ok(err)
		first := set(t, "from", "mutation", "1")
		set(t, "from", "mutation", "2")
		t.ok(t.c.CoreV1().ConfigMaps(t.ns).Delete(t.ctx, "from", metav1.DeleteOptions{}))
		w := open(t, "watch-this-configmap=v", first.ResourceVersion)
		expect(t, w, watch.Modified, "from", "2")
		expect(t, w, watch.Deleted, "from", "2")
	})
	conform(t, "[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch", func(t *T) {
		w := open(t, "watch-this-configmap=r", "")
		_, err := t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, labelled("again", "r"), metav1.CreateOptions{})
		t.ok(err)
		set(t, "again", "mutation", "1")
		expect(t, w, watch.Added, "again", "")
		last := expect(t, w, watch.Modified, "again", "1").ResourceVersion
		w.Stop()
		set(t, "again", "mutation", "2")
		w = open(t, "watch-this-configmap=r", last)
		t.ok(t.c.CoreV1().ConfigMaps(t.ns).Delete(t.ctx, "again", metav1.DeleteOptions{}))
		expect(t, w, watch.Modified, "again", "2")
		expect(t, w, watch.Deleted, "again", "2")
	})
	conform(t, "[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector", func(t *T) {
		w := open(t, "watch-this-configmap=s", "")
		_, err := t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, labelled("label", "s"), metav1.CreateOptions{})
		t.ok(err)
		set(t, "label", "mutation", "1")
		gone := set(t, "label", "label", "other")
		set(t, "label", "mutation", "2")
		set(t, "label", "label", "s")
		set(t, "label", "mutation", "3")
		t.ok(t.c.CoreV1().ConfigMaps(t.ns).Delete(t.ctx, "label", metav1.DeleteOptions{}))
		expect(t, w, watch.Added, "label", "")
		expect(t, w, watch.Modified, "label", "1")
		deleted := expect(t, w, watch.Deleted, "label", "1")
		t.want(deleted.ResourceVersion == gone.ResourceVersion && deleted.Labels["watch-this-configmap"] == "s", "the deletion is at %s with %v, the change was %s", deleted.ResourceVersion, deleted.Labels, gone.ResourceVersion)
		expect(t, w, watch.Added, "label", "2")
		expect(t, w, watch.Modified, "label", "3")
		expect(t, w, watch.Deleted, "label", "3")
	})
	conform(t, "[sig-api-machinery] Watchers should receive events on concurrent watches in same order", func(t *T) {
		const events = 100
		api := t.c.CoreV1().ConfigMaps(t.ns)
		list, err := api.List(t.ctx, metav1.ListOptions{})
		t.ok(err)
		w := open(t, "", list.ResourceVersion)
		done := make(chan error, 1)
		go func() {
			live := 0
			for i := range events {
				var err error
				switch name := fmt.Sprintf("cm-%d", rand.IntN(live+1)); {
				case live == 0 || i%3 == 0:
					_, err = api.Create(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cm-%d", live)}}, metav1.CreateOptions{})
					live++
				case i%3 == 1 && name != fmt.Sprintf("cm-%d", live):
					_, err = api.Update(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"mutated": fmt.Sprint(i)}}}, metav1.UpdateOptions{})
				default:
					live--
					err = api.Delete(t.ctx, fmt.Sprintf("cm-%d", live), metav1.DeleteOptions{})
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		var others []watch.Interface
		version := list.ResourceVersion
		for i := range events {
			others = append(others, open(t, "", version))
			e := t.next(w)
			version = e.Object.(*corev1.ConfigMap).ResourceVersion
			for _, other := range others {
				if got := t.next(other).Object.(*corev1.ConfigMap).ResourceVersion; got != version {
					t.Fatalf("event %d is %s here and %s there", i, version, got)
				}
			}
			if len(others) > 30 {
				others[0].Stop()
				others = others[1:]
			}
		}
		t.ok(<-done)
	})
}
