package internal

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/skiff-k8s/skiff/internal/"

// rule says what the packages below a path may not import, and why.
type rule struct {
	from   string
	never  []string
	except []string
	why    string
}

var rules = []rule{
	{"store", []string{"api", "apiserver", "client", "controller", "kubelet", "scheduler", "cluster"}, nil, "the store knows bytes, not objects"},
	{"api", []string{"store", "apiserver", "client", "controller", "kubelet", "scheduler", "cluster", "auth"}, nil, "the resource table imports nothing of ours but its own parts"},
	{"client", []string{"apiserver", "store", "controller", "kubelet", "scheduler", "cluster"}, nil, "clients see the API, not how it is made"},
	{"controller", []string{"apiserver", "store", "kubelet", "scheduler", "proxy", "dns", "podnet", "cluster"}, nil, "controllers reach the API only through client"},
	{"scheduler", []string{"apiserver", "store", "controller", "kubelet", "proxy", "dns", "podnet", "cluster"}, nil, "the scheduler reaches the API only through client"},
	{"kubelet", []string{"apiserver", "store", "controller", "scheduler", "proxy", "dns", "podnet", "cluster"}, nil, "the kubelet reaches the API only through client, the runtime only through CRI"},
	{"proxy", []string{"apiserver", "store", "controller", "scheduler", "kubelet", "dns", "podnet", "cluster"}, nil, "the proxy reaches the API only through client"},
	{"dns", []string{"apiserver", "store", "controller", "scheduler", "kubelet", "proxy", "podnet", "cluster"}, nil, "DNS reaches the API only through client"},
	{"podnet", []string{"apiserver", "store", "controller", "scheduler", "kubelet", "proxy", "dns", "cluster"}, nil, "the pod network is told what to do over its socket"},
	{"apiserver", []string{"controller", "scheduler", "kubelet", "proxy", "dns", "podnet", "cluster"}, nil, "the API server knows nobody who uses it"},
	{"http2", []string{"api", "apiserver", "auth", "client", "cluster", "controller", "kubelet", "store"}, nil, "the protocol knows nothing of what it carries"},
	{"apiserver/aggregate", []string{"store", "controller", "cluster"}, nil, "the aggregator reaches the API through client, as backends' users do"},
	{"auth", []string{"apiserver", "store", "controller", "client", "cluster"}, nil, "who asks and whether they may is decided without a server"},
	{"cli", []string{"api", "apiserver", "store", "controller", "scheduler", "kubelet", "cluster"}, nil, "verbs talk to a server as any client does"},
	{"runtime", []string{"api", "apiserver", "client", "store", "kubelet", "cluster"}, nil, "the runtime knows containers, not pods' objects"},
}

// external modules that only some packages may use: the rest of the tree stays light.
var allowed = map[string][]string{
	"github.com/vishvananda/netlink":   {"podnet", "proxy"},
	"github.com/google/nftables":       {"podnet", "proxy"},
	"github.com/miekg/dns":             {"dns"},
	"github.com/containerd/containerd": {"runtime"},
	"github.com/tidwall/btree":         {"store", "apiserver"},
	"k8s.io/pod-security-admission":    {"apiserver"},
	"github.com/prometheus":            {"apiserver", "telemetry", "cluster"}, // parts count in variables of their own; what is told is told there
	"k8s.io/kubernetes":                nil,
	"html/template":                    nil,
	"text/template":                    nil,
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestWhoMayImportWhom(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "grpcnotrace", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			checkRules(t, from, imported)
			checkExternal(t, from, imported)
		}
	}
}

func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func checkRules(t *testing.T, from, imported string) {
	to, ours := strings.CutPrefix(imported, module)
	if !ours {
		return
	}
	for _, r := range rules {
		if !within(from, r.from) {
			continue
		}
		for _, n := range r.never {
			if within(to, n) {
				t.Errorf("%s imports %s: %s", from, to, r.why)
			}
		}
	}
	// Controllers are alike and apart: what two of them need is in the package above them.
	if a, ok := strings.CutPrefix(from, "controller/"); ok && a != "all" && !within(a, "controllertest") {
		if b, ok := strings.CutPrefix(to, "controller/"); ok && b != "controllertest" && !within(b, a) {
			t.Errorf("%s imports its sibling %s", from, to)
		}
	}
}

func checkExternal(t *testing.T, from, imported string) {
	for prefix, who := range allowed {
		if !within(imported, prefix) {
			continue
		}
		ok := false
		for _, w := range who {
			ok = ok || within(from, w)
		}
		if !ok {
			t.Errorf("%s imports %s, which only %v may: add a rule with its reason, or find another way", from, imported, who)
		}
	}
}
