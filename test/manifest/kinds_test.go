package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api/all"
)

// A coverage counts the cases of one kind.
type coverage struct {
	accepted, refused, transitions int
}

// TestKinds keeps docs/kinds.md, the table of what the corpus covers, as the cases are.
func TestKinds(t *testing.T) {
	count := map[schema.GroupKind]*coverage{}
	for _, r := range all.Rows {
		count[r.GVK.GroupKind()] = &coverage{}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := readFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bases := map[string]*step{}
		for _, c := range f.cases {
			bases[c.name] = c.steps[0]
		}
		for _, c := range f.cases {
			k, err := c.kind(bases)
			if err != nil {
				t.Fatalf("%s:%d: %v", path, c.line, err)
			}
			if count[k] == nil {
				count[k] = &coverage{}
			}
			count[k].add(c)
		}
	}
	golden := map[string]map[schema.GroupKind]int{}
	for _, what := range []string{"create", "update", "table"} {
		golden[what] = goldenBlocks(t, what)
	}
	var b strings.Builder
	b.WriteString("# Kinds and their cases\n\nWhat the corpus of manifests (test/manifest) holds of each kind: manifests that are accepted, manifests that are refused,\n" +
		"and changes of an object that is there; then the golden files of the kinds' rows (internal/api/all/testdata): new objects with their defaults\n" +
		"or errors, changes, printed cells. Written by `go test ./test/manifest -run Kinds -rewrite`.\n\n" +
		"| kind | accepted | refused | transitions | golden: new | changed | printed |\n|---|---|---|---|---|---|---|\n")
	var total coverage
	for _, k := range slices.SortedFunc(maps.Keys(count), func(a, b schema.GroupKind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
	}) {
		c := count[k]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n", k, c.accepted, c.refused, c.transitions, golden["create"][k], golden["update"][k], golden["table"][k])
		total.accepted, total.refused, total.transitions = total.accepted+c.accepted, total.refused+c.refused, total.transitions+c.transitions
	}
	fmt.Fprintf(&b, "| together | %d | %d | %d | %d | %d | %d |\n", total.accepted, total.refused, total.transitions, sum(golden["create"]), sum(golden["update"]), sum(golden["table"]))
	path := filepath.Join("..", "..", "docs", "kinds.md")
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(path)
	if err != nil || string(old) != b.String() {
		t.Errorf("docs/kinds.md is not what the cases are (%v): run go test ./test/manifest -run Kinds -rewrite", err)
	}
}

func (c *coverage) add(k *kase) {
	last := k.steps[len(k.steps)-1]
	switch {
	case last.verb != "create":
		for _, s := range k.steps {
			if s.verb != "create" && s.verb != "get" {
				c.transitions++
			}
		}
	case last.outcome.line == 0 || last.outcome.code/100 == 2:
		c.accepted++
	default:
		c.refused++
	}
}

// kind is that of the last object made.
func (k *kase) kind(bases map[string]*step) (schema.GroupKind, error) {
	s := k.steps[0]
	for _, x := range k.steps {
		if x.verb == "create" {
			s = x
		}
	}
	tree, err := s.manifest(bases)
	if err != nil {
		return schema.GroupKind{}, err
	}
	version, _ := get(tree, []string{"apiVersion"})
	kind, _ := get(tree, []string{"kind"})
	return schema.FromAPIVersionAndKind(show(version), show(kind)).GroupKind(), nil
}

// goldenBlocks counts the blocks of golden files by the kind that they are about.
func goldenBlocks(t *testing.T, dir string) map[schema.GroupKind]int {
	files, err := filepath.Glob(filepath.Join("..", "..", "internal", "api", "all", "testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	out := map[schema.GroupKind]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(text), "\n----\n") {
			given, _, _ := strings.Cut(block, "\n=>\n")
			given, _, _ = strings.Cut(given, "\n~~~\n")
			var of struct{ APIVersion, Kind string }
			if yaml.Unmarshal([]byte(given), &of) != nil || of.Kind == "" {
				continue
			}
			gv, err := schema.ParseGroupVersion(of.APIVersion)
			if err != nil {
				continue
			}
			out[schema.GroupKind{Group: gv.Group, Kind: of.Kind}]++
		}
	}
	return out
}

func sum(m map[schema.GroupKind]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}
