// Package manifest is a corpus of manifests with the outcome that Kubernetes
// documents or gives for each, run against a whole API server in memory.
//
// There is one file per kind, testdata/<kind>.txt, of cases:
//
//	=== a name
//	apiVersion: v1
//	kind: ConfigMap
//	metadata: {name: a}
//	=> 201
//	metadata.namespace = default
//	! data
//
//	=== data is text
//	from a name
//	data.port: 80
//	=> 400
//	message: json: cannot unmarshal number
//
//	=== immutable
//	from a name
//	immutable: true
//	=> 201
//	--- update
//	data.x: y
//	=> 422
//	data: FieldValueForbidden: Forbidden: field is immutable when `immutable` is set
//
// Each case has a cluster of its own and is some steps. The first creates an object;
// the others begin with --- and say what they do:
//
//	--- create             another object, whole or "from" an earlier case
//	--- update, --- status the object that is there, with fields replaced
//	--- put                a whole manifest in place of the object
//	--- merge, --- strategic, --- json, --- apply
//	                       a patch of that sort; a subresource may follow, as in "--- merge scale"
//	--- post eviction      a body for a subresource
//	--- delete, --- get    the object; the body says propagation and the like
//
// Lines after "from", and those of an update, are "path: value" with the value in
// YAML; null removes the field, [+] appends, and [a.b/c] is a key with dots. {{9 ab}} repeats a text.
// The outcome is the status code, or "refused" for any that is one, then any of
//
//	path = value           a field of the answer
//	! path                 a field that is not there
//	field: type: message   one of the causes of a refusal; all are named
//	message: text          a part of the message
//	warning: text          one of the warnings; all are named
//
// A text that ends with "..." may go on; <uid> stands for any uid.
//
// A step without an outcome succeeds, whatever else it gives. An outcome of "=> ?", or "=> 422 ?", is filled in by
//
//	go test ./test/manifest -rewrite
//
// which also writes docs/kinds.md. Read what was filled in: it is what the server
// does, the case has to say what Kubernetes does.
//
// manifest.go reads the files, cluster.go makes the requests, corpus_test.go compares.
package manifest

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// A corpusFile is the cases of one kind.
type corpusFile struct {
	path  string
	lines []string
	cases []*kase
}

// A kase is one named sequence of steps.
type kase struct {
	name  string
	line  int
	steps []*step
}

// A step is a request and its outcome.
type step struct {
	line    int
	verb    string // create, update, status, put, merge, strategic, json, apply, post, delete, get
	sub     string // subresource
	from    string // the case whose first manifest this one starts from
	body    string
	outcome outcome
}

// An outcome is what is wanted of an answer.
type outcome struct {
	line     int // where "=>" is, counted from 1; 0: none
	fill     bool
	code     int // or refused
	fields   [][2]string
	absent   []string
	causes   []string
	messages []string
	warnings []string
}

// refused is any status code from 400 on.
const refused = 400 - 1

var (
	repeat = regexp.MustCompile(`\{\{(\d+) ([^}]*)\}\}`)
	cause  = regexp.MustCompile(`^.*?: (FieldValue|FieldType)[A-Za-z]+: `)
)

// expand repeats what is too long to print.
func expand(s string) string {
	return repeat.ReplaceAllStringFunc(s, func(m string) string {
		p := repeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(p[1])
		return strings.Repeat(p[2], n)
	})
}

func readFile(path string) (*corpusFile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &corpusFile{path: path, lines: strings.Split(string(b), "\n")}
	var c *kase
	var s *step
	answer := false
	names := map[string]bool{}
	for i, line := range f.lines {
		n := i + 1
		switch {
		case strings.HasPrefix(line, "=== "):
			c = &kase{name: strings.TrimSpace(line[4:]), line: n}
			if names[c.name] {
				return nil, fmt.Errorf("%s:%d: a second case %q", path, n, c.name)
			}
			names[c.name] = true
			s, answer = &step{line: n, verb: "create"}, false
			c.steps = append(c.steps, s)
			f.cases = append(f.cases, c)
		case c == nil || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "--- "):
			s, answer = &step{line: n}, false
			s.verb, s.sub, _ = strings.Cut(line[4:], " ")
			c.steps = append(c.steps, s)
		case strings.HasPrefix(line, "=> "):
			answer = true
			s.outcome.line = n
			if err := s.outcome.readCode(line[3:]); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
		case answer:
			if err := s.outcome.read(expand(line)); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
		case strings.HasPrefix(line, "from ") && s.body == "":
			s.from = strings.TrimSpace(line[5:])
		default:
			s.body += expand(line) + "\n"
		}
	}
	return f, nil
}

func (o *outcome) readCode(text string) (err error) {
	text, o.fill = strings.CutSuffix(text, "?")
	switch text = strings.TrimSpace(text); text {
	case "":
	case "refused":
		o.code = refused
	default:
		o.code, err = strconv.Atoi(text)
	}
	return err
}

func (o *outcome) read(line string) error {
	path, value, equal := strings.Cut(line, " = ")
	switch {
	case line == "":
	case strings.HasPrefix(line, "! "):
		o.absent = append(o.absent, line[2:])
	case strings.HasPrefix(line, "message: "):
		o.messages = append(o.messages, line[9:])
	case strings.HasPrefix(line, "warning: "):
		o.warnings = append(o.warnings, line[9:])
	case cause.MatchString(line):
		o.causes = append(o.causes, line)
	case equal:
		o.fields = append(o.fields, [2]string{path, value})
	default:
		return fmt.Errorf("%q is no outcome", line)
	}
	return nil
}
