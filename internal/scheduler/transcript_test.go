package scheduler

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

var rewrite = flag.Bool("rewrite", false, "write what the transcripts say now")

// TestTranscripts runs the commands of testdata/*.txt and compares what they print: lines
// that begin with two spaces. See script.run for the commands.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := transcript(t, string(want))
			if *rewrite {
				if err := os.WriteFile(f, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s says now (go test -rewrite accepts it):\n%s", f, got)
			}
		})
	}
}

func transcript(t *testing.T, text string) []byte {
	var out bytes.Buffer
	s := &script{t: t, c: clusterOf(1, nil), out: &out}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "#":
		case f[0] == "new":
			s = &script{t: t, c: clusterOf(1, nil), out: &out}
		default:
			s.run(f[0], f[1:])
		}
	}
	return out.Bytes()
}

type script struct {
	t       *testing.T
	c       *Core
	out     *bytes.Buffer
	budgets []*budget
	placed  map[string]*snapshot.Pod
}

func (s *script) say(format string, a ...any) { fmt.Fprintf(s.out, "  "+format+"\n", a...) }

func (s *script) run(verb string, args []string) {
	switch verb {
	case "node":
		s.c.Snapshot.SetNode(node(args[0], s.nodeOptions(args[1:])...))
	case "delnode":
		s.c.Snapshot.RemoveNode(args[0])
	case "namespace":
		s.c.Snapshot.SetNamespace(args[0], pairs(args[1:]))
	case "service":
		s.c.Snapshot.SetService("default", args[0], pairs(args[1:]))
	case "place":
		p := s.c.Snapshot.Compile(pod(args[0], s.podOptions(args[2:])...))
		s.c.Snapshot.Assign(p, args[1])
		s.remember(args[0], p)
	case "del":
		s.c.Snapshot.Remove(s.placed[args[0]])
	case "pod":
		s.schedule(args)
	case "score":
		s.score(args)
	case "pdb":
		n, _ := strconv.Atoi(args[1])
		s.budgets = append(s.budgets, &budget{"default", labels.SelectorFromSet(labels.Set{"app": args[0]}), int32(n), nil})
	case "limit":
		n, _ := strconv.Atoi(args[2])
		s.c.Snapshot.Volumes.Limits[args[0]] = map[string]int32{args[1]: int32(n)}
	case "pvc", "pv", "class":
		s.volume(verb, args)
	default:
		s.t.Fatalf("unknown command %s", verb)
	}
}

func (s *script) remember(name string, p *snapshot.Pod) {
	if s.placed == nil {
		s.placed = map[string]*snapshot.Pod{}
	}
	s.placed[name] = p
}

// schedule decides on a pod, and puts it where that says.
func (s *script) schedule(args []string) {
	p := s.c.Snapshot.Compile(pod(args[0], s.podOptions(args[1:])...))
	d, fe := s.c.Schedule(p)
	if fe == nil {
		s.say("%s, %d of %d fit", d.Node.Name, d.Feasible, d.Evaluated)
		s.c.Snapshot.Assign(p, d.Node.Name)
		s.remember(args[0], p)
		return
	}
	if !fe.NoNodes {
		pr := s.c.Preempt(p, fe, s.budgets, nil)
		fe.Preemption = pr.Message
		s.c.Snapshot.Nominate(p, pr.Node)
		for _, v := range pr.Victims {
			defer s.say("preempts %s on %s", v.Obj.Name, pr.Node)
		}
	}
	s.say("%s", fe.Error())
}

// score prints what each plugin says of each node.
func (s *script) score(args []string) {
	p := s.c.Snapshot.Compile(pod(args[0], s.podOptions(args[1:])...))
	c := &s.c.cycle
	if st := c.Begin(s.c.Snapshot, p); st != nil {
		s.say("%s", st.Reasons)
		return
	}
	nodes := s.c.Snapshot.Nodes()
	out := make([]int64, len(nodes))
	for i := range plugins.Table {
		pl := &plugins.Table[i]
		if pl.Score == nil || !pl.Score(c, nodes, out) {
			continue
		}
		line := pl.Name
		for j, n := range nodes {
			line += fmt.Sprintf(" %s=%d", n.Name, out[j])
		}
		s.say("%s", line)
	}
}

func pairs(args []string) map[string]string {
	m := map[string]string{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		m[k] = v
	}
	return m
}

var topologies = map[string]string{"host": corev1.LabelHostname, "zone": corev1.LabelTopologyZone}

func (s *script) nodeOptions(args []string) (opts []func(*corev1.Node)) {
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		f := strings.Split(v, ":")
		switch k {
		case "cpu", "memory", "pods", "ephemeral-storage", "example.com/gpu":
			opts = append(opts, has(corev1.ResourceName(k), v))
		case "zone":
			opts = append(opts, zone(v))
		case "taint":
			opts = append(opts, taint(f[0], "v", corev1.TaintEffect(f[1])))
		case "cordoned":
			opts = append(opts, cordoned)
		case "image":
			mb, _ := strconv.Atoi(f[1])
			opts = append(opts, func(n *corev1.Node) {
				n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{f[0] + ":1"}, SizeBytes: int64(mb) << 20})
			})
		default:
			opts = append(opts, nodeLabel(k, v))
		}
	}
	return opts
}

func (s *script) podOptions(args []string) (opts []func(*corev1.Pod)) {
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		f := strings.Split(v, ":")
		n, _ := strconv.Atoi(f[len(f)-1])
		switch k {
		case "cpu", "memory", "ephemeral-storage", "example.com/gpu":
			opts = append(opts, askFor(corev1.ResourceName(k), v))
		case "initcpu", "sidecarcpu":
			opts = append(opts, initContainer(k == "sidecarcpu", v))
		case "overhead":
			opts = append(opts, func(p *corev1.Pod) { p.Spec.Overhead = corev1.ResourceList{"cpu": resource.MustParse(v)} })
		case "podcpu":
			opts = append(opts, func(p *corev1.Pod) {
				p.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(v)}}
			})
		case "port":
			opts = append(opts, port(int32(n)))
		case "portip":
			opts = append(opts, port(int32(n)), func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].HostIP = f[0] })
		case "ns":
			opts = append(opts, func(p *corev1.Pod) { p.Namespace = v })
		case "prio":
			opts = append(opts, priority(int32(n)))
		case "never":
			opts = append(opts, func(p *corev1.Pod) { m := corev1.PreemptNever; p.Spec.PreemptionPolicy = &m })
		case "started":
			opts = append(opts, func(p *corev1.Pod) { t := metav1.Unix(int64(n), 0); p.Status.StartTime = &t })
		case "claim":
			opts = append(opts, claim(v))
		case "image":
			opts = append(opts, func(p *corev1.Pod) { p.Spec.Containers[0].Image = v + ":1" })
		case "tolerate":
			opts = append(opts, tolerate(f))
		case "select", "in", "prefer", "name":
			opts = append(opts, nodeChoice(k, f, n))
		case "near":
			opts = append(opts, near(topologies[f[0]], f[1]))
		case "anti":
			opts = append(opts, anti(topologies[f[0]], f[1]))
		case "antins": // against pods of other namespaces too, by their label
			opts = append(opts, anti(topologies[f[0]], f[1]), func(p *corev1.Pod) {
				p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].NamespaceSelector =
					&metav1.LabelSelector{MatchLabels: map[string]string{"team": f[2]}}
			})
		case "likes":
			opts = append(opts, preferNear(topologies[f[0]], f[1], int32(n)))
		case "spread":
			opts = append(opts, spread(topologies[f[0]], int32(n), corev1.DoNotSchedule, f[1]))
		case "softspread":
			opts = append(opts, spread(topologies[f[0]], int32(n), corev1.ScheduleAnyway, f[1]))
		case "mindomains":
			opts = append(opts, func(p *corev1.Pod) { m := int32(n); p.Spec.TopologySpreadConstraints[0].MinDomains = &m })
		case "honortaints":
			opts = append(opts, func(p *corev1.Pod) {
				h := corev1.NodeInclusionPolicyHonor
				p.Spec.TopologySpreadConstraints[0].NodeTaintsPolicy = &h
			})
		default:
			opts = append(opts, label(k, v))
		}
	}
	return opts
}

func initContainer(sidecar bool, cpu string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := corev1.Container{Name: "init", Image: "app:1", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}
		if sidecar {
			always := corev1.ContainerRestartPolicyAlways
			c.RestartPolicy = &always
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
}

func tolerate(f []string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		t := corev1.Toleration{Key: f[0], Operator: corev1.TolerationOpExists}
		if len(f) > 1 {
			t.Effect = corev1.TaintEffect(f[1])
		}
		p.Spec.Tolerations = append(p.Spec.Tolerations, t)
	}
}

// nodeChoice: select=key:value, in=key:value (required affinity), prefer=key:value:weight, name=node.
func nodeChoice(kind string, f []string, n int) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		if kind == "select" {
			p.Spec.NodeSelector = map[string]string{f[0]: f[1]}
			return
		}
		a := affinityOf(p)
		if a.NodeAffinity == nil {
			a.NodeAffinity = &corev1.NodeAffinity{}
		}
		var term corev1.NodeSelectorTerm
		if kind == "name" {
			term.MatchFields = []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: f}}
		} else {
			term.MatchExpressions = []corev1.NodeSelectorRequirement{{Key: f[0], Operator: corev1.NodeSelectorOpIn, Values: f[1:2]}}
		}
		if kind == "prefer" {
			a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
				corev1.PreferredSchedulingTerm{Weight: int32(n), Preference: term})
			return
		}
		a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}
	}
}

// volume: pvc NAME class=C pv=V mode=M gone; pv NAME class=C node=N size=S; class NAME late provisioner=P.
func (s *script) volume(verb string, args []string) {
	o := pairs(args[1:])
	v := &s.c.Snapshot.Volumes
	meta := metav1.ObjectMeta{Namespace: "default", Name: args[0], UID: types.UID(args[0])}
	size := corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	if o["size"] != "" {
		size["storage"] = resource.MustParse(o["size"])
	}
	class := o["class"]
	switch verb {
	case "class":
		sc := &storagev1.StorageClass{ObjectMeta: meta, Provisioner: o["provisioner"]}
		if _, late := o["late"]; late {
			mode := storagev1.VolumeBindingWaitForFirstConsumer
			sc.VolumeBindingMode = &mode
		}
		v.Classes[args[0]] = sc
	case "pvc":
		c := &corev1.PersistentVolumeClaim{ObjectMeta: meta}
		c.Spec.StorageClassName, c.Spec.VolumeName = &class, o["pv"]
		c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		if o["mode"] != "" {
			c.Spec.AccessModes[0] = corev1.PersistentVolumeAccessMode(o["mode"])
		}
		c.Spec.Resources.Requests = size
		if o["pv"] != "" {
			c.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
		}
		v.Claims["default/"+args[0]] = c
	case "pv":
		p := &corev1.PersistentVolume{ObjectMeta: meta, Spec: corev1.PersistentVolumeSpec{StorageClassName: class, Capacity: size}}
		p.Status.Phase = corev1.VolumeAvailable
		p.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		if o["node"] != "" {
			p.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{o["node"]}}}}}}}
		}
		v.PVs[args[0]] = p
	}
}
