package custom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/jsonpath"

	"github.com/skiff-k8s/skiff/internal/api"
)

// columns are what kubectl get prints.
func columns(defined []apiextensionsv1.CustomResourceColumnDefinition) []api.ResourceColumn {
	describe := metav1.ObjectMeta{}.SwaggerDoc()
	out := []api.ResourceColumn{{
		ColumnHead: api.ColumnHead{Name: "Name", Type: "string", Format: "name", Description: describe["name"]},
		Cell:       func(o api.Object) any { return o.GetName() },
	}}
	if len(defined) == 0 {
		defined = []apiextensionsv1.CustomResourceColumnDefinition{
			{Name: "Age", Type: "date", Description: describe["creationTimestamp"], JSONPath: ".metadata.creationTimestamp"}}
	}
	for _, d := range defined {
		at, err := newPath(d.Name, d.JSONPath)
		if err != nil {
			break // compat: what comes before it is printed
		}
		head := api.ColumnHead{Name: d.Name, Type: d.Type, Format: d.Format, Priority: d.Priority, Description: d.Description}
		if head.Description == "" {
			head.Description = "Custom resource definition column (in JSONPath format): " + d.JSONPath
		}
		out = append(out, api.ResourceColumn{ColumnHead: head, Cell: func(o api.Object) any {
			x, ok := at.find(asCustom(o).Object)
			if !ok {
				return nil
			}
			if d.Type == "string" {
				return at.text(x)
			}
			return cell(d.Type, x)
		}})
	}
	return out
}

// cell is a value in a column; nil when it is not of the column's type.
func cell(column string, x any) any {
	if n, ok := x.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			x = i
		} else if f, err := n.Float64(); err == nil && column == "number" {
			x = f
		}
	}
	switch x := x.(type) {
	case int64:
		switch column {
		case "integer":
			return x
		case "number":
			return float64(x)
		}
	case float64:
		switch column {
		case "integer":
			return int64(x)
		case "number":
			return x
		}
	case bool:
		if column == "boolean" {
			return x
		}
	case string:
		if column == "date" {
			var t metav1.Time
			if t.UnmarshalQueryParameter(x) != nil {
				return "<invalid>"
			}
			return api.Age(t)
		}
	}
	return nil
}

// path finds one value in an object. Nearly all of them are plain fields, and need no interpreter.
type path struct {
	plain  []string // nil: it is not
	script *jsonpath.JSONPath
}

var plainPath = regexp.MustCompile(`^(\.[A-Za-z_][A-Za-z0-9_-]*)+$`)

func newPath(name, text string) (*path, error) {
	p := &path{script: jsonpath.New(name)}
	if err := p.script.Parse("{" + text + "}"); err != nil {
		return nil, err
	}
	p.script.AllowMissingKeys(true)
	if plainPath.MatchString(text) {
		p.plain = strings.Split(text[1:], ".")
	}
	return p, nil
}

// find returns the first value at the path, which may be nil.
func (p *path) find(o map[string]any) (x any, found bool) {
	if p.plain == nil {
		// The interpreter keeps its place in a loop in itself; a copy of it has one of its own.
		script := *p.script
		results, err := script.FindResults(o)
		if err != nil || len(results) == 0 || len(results[0]) == 0 {
			return nil, false
		}
		return results[0][0].Interface(), true
	}
	x = o
	for _, key := range p.plain {
		m, ok := x.(map[string]any)
		if !ok {
			return nil, false
		}
		if x, ok = m[key]; !ok {
			return nil, false
		}
	}
	return x, true
}

// text prints a value as jsonpath does; nil when it cannot.
func (p *path) text(x any) any {
	switch x := x.(type) {
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case bool:
		return strconv.FormatBool(x)
	}
	var b bytes.Buffer
	script := *p.script
	if err := script.PrintResults(&b, []reflect.Value{reflect.ValueOf(x)}); err != nil {
		return nil
	}
	return b.String()
}

// fields are what can be selected by, besides labels.
func fields(defined []apiextensionsv1.SelectableField, namespaced bool) map[string]func(api.Object) string {
	out := map[string]func(api.Object) string{"metadata.name": func(o api.Object) string { return o.GetName() }}
	if namespaced {
		out["metadata.namespace"] = func(o api.Object) string { return o.GetNamespace() }
	}
	for _, d := range defined {
		at, err := newPath("selectableField", d.JSONPath)
		if err != nil {
			continue // validation of the definition keeps it from happening
		}
		out[strings.TrimPrefix(d.JSONPath, ".")] = func(o api.Object) string {
			if x, ok := at.find(asCustom(o).Object); ok && x != nil {
				return fmt.Sprint(x)
			}
			return ""
		}
	}
	return out
}
