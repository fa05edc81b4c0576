package manifest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "fill in outcomes of => ? and write docs/kinds.md")

// TestCorpus runs every case of every file.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range files {
		f, err := readFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			f.run(t)
		})
	}
}

func (f *corpusFile) run(t *testing.T) {
	bases := map[string]*step{}
	for _, c := range f.cases {
		bases[c.name] = c.steps[0]
	}
	var mu sync.Mutex
	fills := map[int][]string{} // by the line of "=> ?"
	t.Cleanup(func() {
		if *rewrite && len(fills) > 0 {
			f.fill(t, fills)
		}
	})
	for _, c := range f.cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cl, at := newCluster(t), target{}
			for _, s := range c.steps {
				a, err := cl.do(s, bases, &at)
				if err != nil {
					t.Fatalf("%s:%d: %v", f.path, s.line, err)
				}
				if s.outcome.fill && *rewrite && (s.outcome.code == 0 || s.outcome.code == a.code) {
					mu.Lock()
					fills[s.outcome.line] = a.describe(true)
					mu.Unlock()
					continue
				}
				if diff := s.outcome.compare(a); diff != "" {
					t.Errorf("%s:%d: %s %s (- wanted, + got)\n%s", f.path, s.line, s.verb, at.url(s.sub), diff)
					return
				}
			}
		})
	}
}

// compare gives the differences between what was wanted and what came.
func (o outcome) compare(a answer) string {
	if o.line == 0 {
		if a.code/100 == 2 {
			return ""
		}
		return cmp.Diff([]string{"=> 2xx"}, a.describe(true))
	}
	if o.code == refused && a.code >= 400 {
		o.code = a.code
	}
	want, got := []string{fmt.Sprintf("=> %d", o.code)}, []string{fmt.Sprintf("=> %d", a.code)}
	for _, f := range o.fields {
		want = append(want, f[0]+" = "+f[1])
		if v, ok := get(a.tree, split(f[0])); ok {
			got = append(got, f[0]+" = "+show(v))
		} else {
			got = append(got, "! "+f[0])
		}
	}
	for _, p := range o.absent {
		want = append(want, "! "+p)
		if v, ok := get(a.tree, split(p)); ok {
			got = append(got, p+" = "+show(v))
		} else {
			got = append(got, "! "+p)
		}
	}
	for _, m := range o.messages {
		want = append(want, "message: "+m)
		if strings.Contains(a.message(), m) {
			got = append(got, "message: "+m)
		} else {
			got = append(got, "message: "+a.message())
		}
	}
	want = append(append(want, slices.Sorted(slices.Values(o.causes))...), warningLines(o.warnings)...)
	got = append(append(got, a.causes()...), warningLines(a.warnings)...)
	for i := range min(len(want), len(got)) {
		// What follows may be different each time.
		if head, ok := strings.CutSuffix(want[i], "..."); ok && strings.HasPrefix(got[i], head) {
			got[i] = want[i]
		}
	}
	if slices.Equal(want, got) {
		return ""
	}
	diff := cmp.Diff(want, got)
	if len(a.causes()) == 0 && a.code >= 400 && o.code != a.code {
		diff += "\nmessage: " + a.message()
	}
	return diff
}

func warningLines(w []string) []string {
	var out []string
	for _, text := range w {
		out = append(out, "warning: "+text)
	}
	return out
}

// describe writes an answer as an outcome.
func (a answer) describe(message bool) []string {
	out := []string{fmt.Sprintf("=> %d", a.code)}
	out = append(out, a.causes()...)
	if len(out) == 1 && a.code >= 400 && message {
		out = append(out, "message: "+a.message())
	}
	return append(out, warningLines(a.warnings)...)
}

// fill replaces "=> ?" by what came.
func (f *corpusFile) fill(t *testing.T, fills map[int][]string) {
	var out []string
	for i, line := range f.lines {
		if got := fills[i+1]; got != nil {
			for _, l := range got {
				out = append(out, shorten(l))
			}
			continue
		}
		out = append(out, line)
	}
	if err := os.WriteFile(f.path, []byte(strings.Join(out, "\n")), 0o644); err != nil {
		t.Error(err)
	}
}

// shorten writes runs of one character as {{9 a}}.
func shorten(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 1
		for i+n < len(s) && s[i+n] == s[i] {
			n++
		}
		if n > 40 {
			fmt.Fprintf(&b, "{{%d %c}}", n, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
