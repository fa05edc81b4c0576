package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

func TestMain(m *testing.M) {
	// The test is its own program, when it is called as CNI programs are.
	if os.Getenv("CNI_COMMAND") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// plugin calls the program and returns what it prints and how it ends.
func plugin(t *testing.T, config string, env ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = env
	cmd.Stdin = strings.NewReader(config)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", stderr.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func TestCall(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config := `{"cniVersion":"1.0.0","name":"skiff","socket":"` + socket + `"}`
	for _, c := range []struct {
		command string
		reply   cniwire.Reply
		out     string
		code    int
	}{
		{"ADD", cniwire.Reply{Result: json.RawMessage(`{"cniVersion":"1.0.0","ips":[]}`)}, `{"cniVersion":"1.0.0","ips":[]}`, 0},
		{"DEL", cniwire.Reply{}, "", 0},
		{"CHECK", cniwire.Reply{Error: &cniwire.Error{Code: cniwire.CodeInternal, Msg: "no"}}, `{"cniVersion":"1.0.0","code":999,"msg":"no"}` + "\n", 1},
	} {
		got := make(chan cniwire.Request, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			cniwire.Answer(conn, func(r cniwire.Request) cniwire.Reply { got <- r; return c.reply })
		}()
		out, code := plugin(t, config, "CNI_COMMAND="+c.command, "CNI_CONTAINERID=id", "CNI_NETNS=/ns", "CNI_IFNAME=eth0", "CNI_ARGS=K8S_POD_NAME=a;IgnoreUnknown=1")
		if out != c.out || code != c.code {
			t.Errorf("%s printed %q and ended with %d, want %q and %d", c.command, out, code, c.out, c.code)
		}
		r := <-got
		if r.Command != c.command || r.ContainerID != "id" || r.Netns != "/ns" || r.IfName != "eth0" || r.Args != "K8S_POD_NAME=a;IgnoreUnknown=1" || string(r.Config) != config {
			t.Errorf("the agent got %+v", r)
		}
	}
}

func TestAgentThatCloses(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	if out, code := plugin(t, `{"cniVersion":"1.0.0","socket":"`+socket+`"}`, "CNI_COMMAND=ADD"); code != 1 || !strings.Contains(out, `"code":11`) {
		t.Errorf("printed %q and ended with %d", out, code)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ command, config, want string }{
		{"ADD", `{"cniVersion":"0.4.0","socket":"/nowhere/s"}`, `{"cniVersion":"0.4.0","code":11,"msg":"Skiff's network agent does not answer (is skiff running?)","details":"connect /nowhere/s: no such file or directory"}`},
		{"ADD", `{"cniVersion":"1.0.0"}`, `{"cniVersion":"1.0.0","code":7,"msg":"the configuration names no \"socket\""}`},
		{"ADD", `{`, `{"cniVersion":"1.0.0","code":6,"msg":"the configuration is not JSON","details":"unexpected end of JSON input"}`},
		{"NOPE", `{}`, `{"cniVersion":"1.0.0","code":4,"msg":"CNI_COMMAND is not one of ADD, DEL, CHECK, STATUS, GC, VERSION","details":"NOPE"}`},
	} {
		if out, code := plugin(t, c.config, "CNI_COMMAND="+c.command); strings.TrimSpace(out) != c.want || code != 1 {
			t.Errorf("%s %s: printed %s and ended with %d", c.command, c.config, out, code)
		}
	}
	if out, code := plugin(t, "", "CNI_COMMAND=VERSION"); code != 0 || !json.Valid([]byte(out)) || !strings.Contains(out, `"1.0.0"`) {
		t.Errorf("VERSION: %s, %d", out, code)
	}
}
