// Package instance starts a Skiff server for one test and ends it after the test.
//
// The server is `skiff server`: the API and the controllers, no node, on a free
// port of 127.0.0.1 with a data directory of its own. A server that was killed can
// be started again on the same directory and port.
package instance

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running `skiff server`.
type Server struct {
	// Kubeconfig is that of the administrator.
	Kubeconfig string
	// Data is the data directory.
	Data string

	dir   string
	port  int
	flags []string
	cmd   *exec.Cmd
	// ended is closed once the process is gone.
	ended chan struct{}
}

// Bin is the repository's bin directory, looked for from the working directory upwards.
func Bin() string {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "ARCHITECTURE.md")); err == nil {
			break
		}
	}
	return filepath.Join(dir, "bin")
}

// nodeIP is what the server takes for the host's address, which must not be a
// loopback one. It is for documentation: nobody is asked there.
const nodeIP = "192.0.2.10"

// ErrNotBuilt says that there is no server to test.
var ErrNotBuilt = errors.New("bin/skiff is missing: run `make build` first")

// Start starts a server with the data directory dir/data, and with these flags besides.
func Start(dir string, flags ...string) (*Server, error) {
	data := filepath.Join(dir, "data")
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		s := &Server{Kubeconfig: filepath.Join(data, "admin.kubeconfig"), Data: data, dir: dir, port: port, flags: flags}
		err = s.Again()
		if err == nil {
			return s, nil
		}
		// Between our listening and the server's somebody else may have been given the port.
		if !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
			return nil, err
		}
		for _, left := range []string{data, s.logFile()} {
			if err := os.RemoveAll(left); err != nil {
				return nil, err
			}
		}
	}
}

// Again starts a server that was stopped or killed.
func (s *Server) Again() error {
	bin := os.Getenv("SKIFF")
	if bin == "" {
		bin = filepath.Join(Bin(), "skiff")
	}
	if _, err := os.Stat(bin); err != nil {
		return ErrNotBuilt
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	flags := []string{"server", "--data-dir", s.Data, "--bind-address", "127.0.0.1", "--node-ip", nodeIP, "--secure-port", strconv.Itoa(s.port)}
	s.cmd = exec.Command(bin, append(flags, s.flags...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// A test binary that is killed takes its server along.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { cmd.Wait(); close(ended) }(s.cmd, s.ended)
	if err := s.ready(); err != nil {
		s.Kill()
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	return nil
}

func (s *Server) ready() error {
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		if r, err := c.Get("https://127.0.0.1:" + strconv.Itoa(s.port) + "/readyz"); err == nil {
			r.Body.Close()
			if _, err := os.Stat(s.Kubeconfig); err == nil && r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("the server ended")
		case <-late:
			return errors.New("the server is not ready after a minute")
		}
	}
}

// Stop ends the server in order.
func (s *Server) Stop() { s.signal(syscall.SIGTERM) }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

func (s *Server) signal(sig syscall.Signal) {
	// The process may have ended by itself.
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "skiff.log") }

// Log is the end of what the server logged.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.logFile())
	return string(b[max(0, len(b)-8000):])
}
