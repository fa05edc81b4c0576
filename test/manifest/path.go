package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// split cuts spec.containers[0].env[+] into its parts.
func split(path string) []string {
	var out []string
	for path != "" {
		if path[0] == '[' {
			key, rest, _ := strings.Cut(path[1:], "]")
			out, path = append(out, key), strings.TrimPrefix(rest, ".")
			continue
		}
		i := strings.IndexAny(path, ".[")
		if i < 0 {
			return append(out, path)
		}
		out = append(out, path[:i])
		path = strings.TrimPrefix(path[i:], ".")
	}
	return out
}

// set puts a value into a tree of maps and lists and gives the tree back; nil removes.
func set(tree any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	key := path[0]
	if list, ok := tree.([]any); ok || key == "+" {
		if key == "+" {
			next, err := set(nil, path[1:], value)
			return append(list, next), err
		}
		i, err := strconv.Atoi(key)
		if err != nil || i >= len(list) {
			return nil, fmt.Errorf("no element %s", key)
		}
		if len(path) == 1 && value == nil {
			return append(list[:i:i], list[i+1:]...), nil
		}
		list[i], err = set(list[i], path[1:], value)
		return list, err
	}
	m, ok := tree.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	if len(path) == 1 && value == nil {
		delete(m, key)
		return m, nil
	}
	next, err := set(m[key], path[1:], value)
	m[key] = next
	return m, err
}

// get reads a field; "#" is the length of a list or map.
func get(tree any, path []string) (any, bool) {
	for _, key := range path {
		switch x := tree.(type) {
		case map[string]any:
			v, ok := x[key]
			if key == "#" && !ok {
				v, ok = json.Number(strconv.Itoa(len(x))), true
			}
			if !ok {
				return nil, false
			}
			tree = v
		case []any:
			i, err := strconv.Atoi(key)
			switch {
			case key == "#":
				tree = json.Number(strconv.Itoa(len(x)))
			case err != nil || i >= len(x):
				return nil, false
			default:
				tree = x[i]
			}
		default:
			return nil, false
		}
	}
	return tree, true
}

// decode reads JSON and keeps numbers as they are written.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func decodeYAML(text string) (any, error) {
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	return decode(b)
}

// edit applies "path: value" lines; a value goes on over lines that are indented.
func edit(tree any, lines string) (any, error) {
	var joined []string
	for line := range strings.Lines(lines) {
		if len(joined) > 0 && (strings.HasPrefix(line, " ") || strings.TrimSpace(line) == "") {
			joined[len(joined)-1] += line
		} else {
			joined = append(joined, line)
		}
	}
	for _, line := range joined {
		if strings.TrimSpace(line) == "" {
			continue
		}
		path, text, ok := cutPath(line)
		if !ok {
			return nil, fmt.Errorf("%q is not path: value", line)
		}
		value, err := decodeYAML(text)
		if err == nil {
			tree, err = set(tree, split(path), value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return tree, nil
}

// cutPath cuts at the colon that is outside brackets.
func cutPath(line string) (path, value string, ok bool) {
	depth := 0
	for i, r := range line {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ':' && depth == 0:
			return line[:i], line[i+1:], true
		}
	}
	return "", "", false
}

// show writes a value as an outcome does: text bare, the rest as JSON.
func show(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}
