package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMonitorThread: the thread that is taken for Go's monitor is the one that naps while others work.
func TestMonitorThread(t *testing.T) {
	tid := monitorThread()
	if tid == 0 {
		t.Fatal("there is no such thread")
	}
	naps := func() (n int) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", tid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		fmt.Sscan(rest, &n)
		return n
	}
	before := naps()
	deadline := time.Now().Add(10 * time.Second)
	for naps() < before+20 { // nothing but the monitor sleeps of its own will while this runs
		if time.Now().After(deadline) {
			t.Fatal("it does not nap")
		}
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		}
	}
	calmMonitor()
	b, err := os.ReadFile(timerSlackFile(tid))
	if err != nil {
		t.Skip(err)
	}
	if got := strings.TrimSpace(string(b)); got != "1000000" {
		t.Errorf("its timer slack is %s ns", got)
	}
}
