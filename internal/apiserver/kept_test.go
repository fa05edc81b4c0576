package apiserver

import "testing"

// TestEncodingsWithoutRoom: of more than there is room for, what was there first stays as
// long as it is asked for, and goes when it is not.
func TestEncodingsWithoutRoom(t *testing.T) {
	k := &encodingsKept{budget: 100, turning: true} // no timer
	entries := make([]*entry, 5)
	for i := range entries {
		entries[i] = &entry{}
	}
	kept := func() (n int) {
		for _, e := range entries {
			if e.json.Load() != nil {
				n++
			}
		}
		return n
	}
	for range 2 {
		for _, e := range entries {
			if e.json.Load() == nil {
				k.keep(e, make([]byte, 30))
			}
		}
		if kept() != 3 || entries[0].json.Load() == nil || k.bytes != 90 {
			t.Fatalf("%d are kept, %d bytes", kept(), k.bytes)
		}
	}
	k.turn.Add(2)
	k.keep(entries[4], make([]byte, 30))
	if kept() != 3 || entries[0].json.Load() != nil || entries[4].json.Load() == nil {
		t.Errorf("what nobody asked for has kept its place: %d", kept())
	}
	k.keep(entries[3], make([]byte, 101))
	if entries[3].json.Load() != nil || k.bytes > 100 {
		t.Error("more is kept than there is room for")
	}
}
