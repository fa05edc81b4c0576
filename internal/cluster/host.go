package cluster

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Pid is the process of the running instance; 0 when none runs.
func (c *Config) Pid() int {
	f, err := os.Open(c.lockFile())
	if err != nil {
		return 0
	}
	defer f.Close()
	// Whoever runs holds the lock; a pid in the file alone may be of a process that was killed.
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	b := make([]byte, 16)
	n, _ := f.Read(b)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid
}
