package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// contextLines is how many equal lines are shown around a difference.
const contextLines = 3

// edit is a line of a comparison: ' ' in both, '-' only in the old, '+' only in the new.
type edit struct {
	op   byte
	line string
}

// unified writes the difference of two texts as diff -u does; nothing when there is none.
func unified(w io.Writer, oldName, newName, a, b string) {
	if a == b {
		return
	}
	fmt.Fprintf(w, "--- %s\n+++ %s\n", oldName, newName)
	edits := lineEdits(lines(a), lines(b))
	oldAt, newAt := 0, 0
	for i := 0; i < len(edits); {
		if edits[i].op == ' ' {
			oldAt, newAt, i = oldAt+1, newAt+1, i+1
			continue
		}
		// A hunk: from some lines before to where enough equal lines follow.
		from := max(0, i-contextLines)
		to, quiet := i, 0
		for to < len(edits) && quiet <= 2*contextLines {
			if quiet++; edits[to].op != ' ' {
				quiet = 0
			}
			to++
		}
		to -= max(0, quiet-contextLines)
		before := i - from
		oldN, newN := 0, 0
		for _, e := range edits[from:to] {
			if e.op != '+' {
				oldN++
			}
			if e.op != '-' {
				newN++
			}
		}
		fmt.Fprintf(w, "@@ -%s +%s @@\n", span(oldAt-before, oldN), span(newAt-before, newN))
		for _, e := range edits[from:to] {
			fmt.Fprintf(w, "%c%s\n", e.op, e.line)
		}
		oldAt, newAt, i = oldAt-before+oldN, newAt-before+newN, to
	}
}

// span is where a hunk is: the first line, counted from 1, and how many.
func span(at, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", at)
	}
	return fmt.Sprintf("%d,%d", at+1, n)
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// lineEdits tells how a becomes b.
func lineEdits(a, b []string) []edit {
	// What both begin and end with needs no search.
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := all(' ', a[:head])
	out = append(out, shortest(a[head:len(a)-tail], b[head:len(b)-tail])...)
	return append(out, all(' ', a[len(a)-tail:])...)
}

func all(op byte, lines []string) []edit {
	out := make([]edit, len(lines))
	for i, l := range lines {
		out[i] = edit{op, l}
	}
	return out
}

// farApart is from how many edits on it is not worth looking for a shortest way.
const farApart = 1000

// shortest finds a shortest way from a to b (Myers, "An O(ND) difference algorithm").
func shortest(a, b []string) []edit {
	v := map[int]int{} // the furthest place in a on each diagonal
	var trail []map[int]int
	for d := 0; d <= min(len(a)+len(b), farApart); d++ {
		next := make(map[int]int, d+1)
		for k := -d; k <= d; k += 2 {
			x := 0
			switch {
			case d == 0:
			case k == -d || k != d && v[k-1] < v[k+1]:
				x = v[k+1]
			default:
				x = v[k-1] + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			if next[k] = x; x >= len(a) && x-k >= len(b) {
				return backtrack(a, b, trail)
			}
		}
		trail, v = append(trail, next), next
	}
	return append(all('-', a), all('+', b)...)
}

// backtrack walks from the end: trail has the furthest places after each number of edits.
func backtrack(a, b []string, trail []map[int]int) []edit {
	var back []edit
	x, y := len(a), len(b)
	for d := len(trail); d > 0; d-- {
		v, k := trail[d-1], x-y
		from := k - 1
		if k == -d || k != d && v[k-1] < v[k+1] {
			from = k + 1
		}
		px, py := v[from], v[from]-from
		for x > px && y > py && (x > px+1 || from != k-1) && (y > py+1 || from != k+1) {
			x, y = x-1, y-1
			back = append(back, edit{' ', a[x]})
		}
		if from == k-1 {
			x--
			back = append(back, edit{'-', a[x]})
		} else {
			y--
			back = append(back, edit{'+', b[y]})
		}
	}
	for x > 0 {
		x--
		back = append(back, edit{' ', a[x]})
	}
	slices.Reverse(back)
	return back
}
