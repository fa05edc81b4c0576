package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSeeds applies the manifests of the tutorials. The comment at the head of a file
// says where it is from, and below "=>" what comes of it, as in a case of the corpus.
func TestSeeds(t *testing.T) {
	root := filepath.Join("..", "tutorial", "manifests")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, path := range files {
		name, _ := filepath.Rel(root, path)
		t.Run(strings.TrimSuffix(filepath.ToSlash(name), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := readHead(string(text))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			tree, err := decodeYAML(string(text))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			cl := newCluster(t)
			if ns, ok := get(tree, []string{"metadata", "namespace"}); ok && ns != "default" {
				cl.namespace(t, ns.(string))
			}
			version, _ := get(tree, []string{"apiVersion"})
			kind, _ := get(tree, []string{"kind"})
			collection, ok := cl.served(show(version), show(kind), "")
			if !ok {
				t.Skipf("%v %v is not served", version, kind)
			}
			if ns, ok := get(tree, []string{"metadata", "namespace"}); ok {
				collection = strings.Replace(collection, "/namespaces/default/", "/namespaces/"+ns.(string)+"/", 1)
			}
			a := cl.ask("POST", collection+"?"+strict, "application/yaml", text)
			if diff := want.compare(a); diff != "" {
				t.Errorf("%s (- wanted, + got)\n%s", path, diff)
			}
		})
	}
}

// readHead reads the outcome from the comment at the head of a manifest.
func readHead(text string) (outcome, error) {
	var o outcome
	for n, line := range strings.Split(text, "\n") {
		line, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		var err error
		switch code, begins := strings.CutPrefix(line, "=> "); {
		case begins:
			o.line = n + 1
			err = o.readCode(code)
		case o.line > 0:
			err = o.read(line)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}
