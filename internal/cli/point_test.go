package cli

import (
	"encoding/json"
	"testing"
	"time"
)

func TestPoints(t *testing.T) {
	var past revisions
	const told = `{"oldest":100,"current":200,"times":[{"revision":90,"time":"2026-01-02T11:00:00Z"},{"revision":120,"time":"2026-01-02T12:00:00Z"},{"revision":150,"time":"2026-01-02T12:30:00Z"}]}`
	if err := json.Unmarshal([]byte(told), &past); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 13, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		point string
		rev   int64 // 0: refused
	}{
		{"100", 100}, {"200", 200}, {"99", 0}, {"201", 0}, {"-1", 0},
		{"0s", 200}, {"29m", 200}, {"31m", 149}, {"1h", 149}, {"90m", 119}, {"3h", 0},
		{"12:00", 149}, {"12:29:59", 149}, {"12:30", 200}, {"11:30", 119}, {"10:00", 0}, {"23:00", 0},
		{"2026-01-02 12:00", 149}, {"2026-01-02T12:00:00Z", 149}, {"2026-01-02", 0}, {"noon", 0}, {"", 0},
	} {
		rev, err := past.point(c.point, now)
		if rev != c.rev || (err == nil) != (c.rev != 0) {
			t.Errorf("%q: %d %v, want %d", c.point, rev, err, c.rev)
		}
	}
	for rev, want := range map[int64]string{100: "11:00", 119: "11:00", 120: "12:00", 149: "12:00", 200: "12:30"} {
		if got := past.at(rev).Format("15:04"); got != want {
			t.Errorf("revision %d was at %s, want %s", rev, got, want)
		}
	}
	if !past.at(80).IsZero() {
		t.Error("a time is told for what nobody knows")
	}
}
