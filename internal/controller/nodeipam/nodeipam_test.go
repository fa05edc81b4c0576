package nodeipam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func TestStep(t *testing.T) {
	for name, c := range map[string]struct {
		networks string
		taken    string
		want     string
	}{
		"first":            {"10.244.0.0/16", "", "10.244.0.0/24"},
		"next":             {"10.244.0.0/16", "10.244.0.0/24 10.244.1.0/24", "10.244.2.0/24"},
		"a gap":            {"10.244.0.0/16", "10.244.0.0/24 10.244.2.0/24", "10.244.1.0/24"},
		"of another size":  {"10.244.0.0/16", "10.244.0.0/22 10.9.0.0/24", "10.244.4.0/24"},
		"full":             {"10.244.0.0/23", "10.244.0.0/24 10.244.1.0/24", ""},
		"at the very end":  {"255.255.254.0/23", "255.255.254.0/24 255.255.255.0/24", ""},
		"small":            {"10.244.0.0/26", "", "10.244.0.0/26"},
		"two families":     {"10.244.0.0/16 fd00:10:244::/56", "10.244.0.0/24 fd00:10:244::/64", "10.244.1.0/24 fd00:10:244:1::/64"},
		"without networks": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var prefixes []netip.Prefix
			for _, s := range strings.Fields(c.networks) {
				prefixes = append(prefixes, netip.MustParsePrefix(s))
			}
			k := clienttest.New(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
			for i, s := range strings.Fields(c.taken) {
				k.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}, Spec: corev1.NodeSpec{PodCIDR: s, PodCIDRs: []string{s}}})
			}
			if _, _, err := controllertest.Step(t, k, Spec(Networks(prefixes...)), controller.Key{Name: "n"}, controllertest.Start); err != nil {
				t.Fatal(err)
			}
			n, _ := client.Get[*corev1.Node](t.Context(), k, "", "n")
			if got := strings.Join(n.Spec.PodCIDRs, " "); got != c.want || n.Spec.PodCIDR != strings.Split(c.want, " ")[0] {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
