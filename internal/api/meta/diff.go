package meta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diff names the fields in which two objects differ, with both values, one a line.
func Diff(old, next any) string {
	var b strings.Builder
	diff(&b, "", plain(old), plain(next))
	return b.String()
}

func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if d.Decode(&out) != nil {
		return nil
	}
	return out
}

func diff(b *strings.Builder, path string, old, next any) {
	switch o := old.(type) {
	case map[string]any:
		if n, ok := next.(map[string]any); ok {
			keys := maps.Clone(o)
			maps.Copy(keys, n)
			for _, k := range slices.Sorted(maps.Keys(keys)) {
				diff(b, strings.TrimPrefix(path+"."+k, "."), o[k], n[k])
			}
			return
		}
	case []any:
		if n, ok := next.([]any); ok {
			for i := range max(len(o), len(n)) {
				var x, y any
				if i < len(o) {
					x = o[i]
				}
				if i < len(n) {
					y = n[i]
				}
				diff(b, fmt.Sprintf("%s[%d]", path, i), x, y)
			}
			return
		}
	}
	x, _ := json.Marshal(old)
	y, _ := json.Marshal(next)
	if bytes.Equal(x, y) {
		return
	}
	if old != nil {
		fmt.Fprintf(b, "- %s: %s\n", path, x)
	}
	if next != nil {
		fmt.Fprintf(b, "+ %s: %s\n", path, y)
	}
}
