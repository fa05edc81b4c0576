package containerd

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func TestPauseProgram(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		b, err := pauseProgram(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine || f.Type != elf.ET_EXEC || len(b) != 312 {
			t.Errorf("%s: %v %v of %d bytes", arch, f.Machine, f.Type, len(b))
		}
	}
	if _, err := pauseProgram("mips"); err == nil {
		t.Error("there is a program for mips")
	}
}

func TestPauseEndsWhenAsked(t *testing.T) {
	b, err := pauseProgram(runtime.GOARCH)
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(file, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.Command(file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It sleeps in a system call once its handlers are in place.
		waitFor(t, func() bool { return caught(cmd.Process.Pid) })
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v", sig, err)
		}
	}
}
