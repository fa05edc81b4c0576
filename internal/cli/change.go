package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// What differs between two states of an object, in the words of people who read it.

// bookkeeping is what changes with every write and says nothing about it.
var bookkeeping = []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}

// bare is an object without bookkeeping. It shares what it keeps.
func bare(o object) object {
	if o == nil {
		return nil
	}
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	if m, ok := o["metadata"].(object); ok {
		kept := object{}
		for k, v := range m {
			if !slices.Contains(bookkeeping, k) {
				kept[k] = v
			}
		}
		out["metadata"] = kept
	}
	return out
}

// changes are the fields that differ: "spec.replicas: 3 → 5".
func changes(old, now object) []string {
	var out []string
	compare("", bare(old), bare(now), &out)
	slices.SortStableFunc(out, func(a, b string) int { return rank(a) - rank(b) })
	return out
}

// rank puts first what people mean by a change: what is wanted, then metadata, then what is reported.
func rank(change string) int {
	switch {
	case strings.HasPrefix(change, "status"):
		return 2
	case strings.HasPrefix(change, "metadata"):
		return 1
	}
	return 0
}

func compare(path string, a, b any, out *[]string) {
	if reflect.DeepEqual(a, b) {
		return
	}
	am, aok := a.(object)
	bm, bok := b.(object)
	if aok && bok || aok && b == nil || bok && a == nil {
		for _, k := range keysOf(am, bm) {
			compare(joined(path, k), am[k], bm[k], out)
		}
		return
	}
	al, aok := a.([]any)
	bl, bok := b.([]any)
	if aok && bok || aok && b == nil || bok && a == nil {
		compareLists(path, al, bl, out)
		return
	}
	*out = append(*out, path+": "+short(a)+" → "+short(b))
}

// compareLists holds elements against each other by their name, or else by their place.
func compareLists(path string, a, b []any, out *[]string) {
	key := ""
	for _, k := range []string{"name", "type", "containerPort", "port", "mountPath", "key", "ip", "uid"} {
		if keyed(a, k) && keyed(b, k) {
			key = k
			break
		}
	}
	if key == "" {
		for i := range max(len(a), len(b)) {
			compare(fmt.Sprintf("%s[%d]", path, i), element(a, i), element(b, i), out)
		}
		return
	}
	was, is := byKey(a, key), byKey(b, key)
	for _, k := range keysOf(was, is) {
		at := fmt.Sprintf("%s[%s]", path, k)
		switch {
		case was[k] == nil:
			*out = append(*out, at+": added")
		case is[k] == nil:
			*out = append(*out, at+": removed")
		default:
			compare(at, was[k], is[k], out)
		}
	}
}

func element(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return nil
}

// keyed tells that every element is an object with a value of its own under key.
func keyed(l []any, key string) bool {
	seen := map[string]bool{}
	for _, e := range l {
		m, ok := e.(object)
		if !ok || m[key] == nil || seen[fmt.Sprint(m[key])] {
			return false
		}
		seen[fmt.Sprint(m[key])] = true
	}
	return true
}

func byKey(l []any, key string) object {
	out := object{}
	for _, e := range l {
		out[fmt.Sprint(e.(object)[key])] = e
	}
	return out
}

func keysOf(a, b object) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// joined is a path with one more field; keys that are no plain names are quoted.
func joined(path, key string) string {
	if strings.ContainsAny(key, "./[] ") {
		return path + "[" + key + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// short is a value on one line, not too long.
func short(v any) string {
	if v == nil {
		return "none"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	s := string(b)
	if t, ok := v.(string); ok && t != "" && !strings.ContainsAny(t, " \n\t") {
		s = t
	}
	if r := []rune(s); len(r) > 40 {
		s = string(r[:37]) + "..."
	}
	return s
}

// author is who made a state of the one before, and when, as managedFields tell it.
func author(old, now object) (who string, when time.Time) {
	before := map[string]object{}
	for _, e := range managed(old) {
		before[writer(e)] = e
	}
	gained := false
	for _, all := range []bool{false, true} {
		for _, e := range managed(now) {
			had := before[writer(e)]
			if !all && reflect.DeepEqual(had, e) {
				continue // as it was: somebody else wrote
			}
			t, _ := time.Parse(time.RFC3339, text(e, "time"))
			// Whoever wrote took fields, which others lost, maybe within the same second.
			g := had == nil || size(had["fieldsV1"]) <= size(e["fieldsV1"])
			if who == "" || t.After(when) || t.Equal(when) && g && !gained {
				who, when, gained = writer(e), t, g
			}
		}
		if who != "" {
			break
		}
	}
	return who, when
}

// size is how many fields a set has.
func size(set any) int {
	m, _ := set.(object)
	n := len(m)
	for _, v := range m {
		n += size(v)
	}
	return n
}

func managed(o object) (out []object) {
	m, _ := o["metadata"].(object)
	entries, _ := m["managedFields"].([]any)
	for _, e := range entries {
		if f, ok := e.(object); ok {
			out = append(out, f)
		}
	}
	return out
}

// writer is who an entry of managedFields is about: "kubectl (Apply)", "kubelet (Update status)".
func writer(e object) string {
	how := text(e, "operation")
	if sub := text(e, "subresource"); sub != "" {
		how += " " + sub
	}
	return text(e, "manager") + " (" + how + ")"
}
