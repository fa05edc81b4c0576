package cluster

import (
	"os"
	"slices"
	"strconv"
)

// calmMonitor lets the kernel round the naps of Go's monitor thread to a millisecond.
//
// The monitor looks every 20 µs whether a processor has to be taken from a thread that is in a system call,
// for a millisecond after each time that the process was idle. A server that is woken two hundred
// times a second has half of its context switches and an eighth of its CPU time from that. What it
// costs: when every processor is in a system call that lasts, others wait for one up to a millisecond.
//
// Where this is not permitted everything works all the same.
func calmMonitor() {
	if tid := monitorThread(); tid != 0 {
		os.WriteFile(timerSlackFile(tid), []byte("1000000"), 0)
	}
}

func timerSlackFile(tid int) string { return "/proc/" + strconv.Itoa(tid) + "/timerslack_ns" }

// monitorThread is the first thread that the runtime makes; 0 when that cannot be told.
func monitorThread() int {
	es, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	var tids []int
	for _, e := range es {
		if tid, err := strconv.Atoi(e.Name()); err == nil && tid > os.Getpid() {
			tids = append(tids, tid)
		}
	}
	if len(tids) == 0 {
		return 0
	}
	return slices.Min(tids)
}
