package containerd

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// pauseTar is the sandbox image as a docker archive: one file, /pause, which
// holds a pod's namespaces and does nothing else.
func pauseTar() (io.Reader, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the built-in sandbox image is for amd64; on %s import one as %s with `skiff image import`", runtime.GOARCH, PauseImage)
	}
	var layer bytes.Buffer
	if err := tarFile(&layer, "pause", pauseProgram(), 0o755); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(layer.Bytes())
	diffID := "sha256:" + hex.EncodeToString(sum[:])
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/pause"}, "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{diffID}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{PauseImage}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range []struct {
		name string
		data []byte
	}{{"layer.tar", layer.Bytes()}, {"config.json", config}, {"manifest.json", manifest}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	return &out, w.Close()
}

func tarFile(out io.Writer, name string, data []byte, mode int64) error {
	w := tar.NewWriter(out)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// pauseProgram is a static program for Linux on amd64, assembled here. It ignores
// SIGCHLD (so the kernel reaps what a pod's processes leave behind when they share
// its PID namespace), ends on SIGTERM and SIGINT, and sleeps.
func pauseProgram() []byte {
	const (
		base     = 0x400000
		head     = 64 + 56 // ELF header and one program header
		codeSize = 128
		ignore   = base + head + codeSize // two struct sigaction behind the code
		leave    = ignore + 32
	)
	le := binary.LittleEndian
	var code []byte
	movImm := func(opcode byte, v uint32) { code = le.AppendUint32(append(code, opcode), v) }
	sigaction := func(signal, action uint32) {
		movImm(0xb8, 13)                // mov eax, rt_sigaction
		movImm(0xbf, signal)            // mov edi, signal
		movImm(0xbe, action)            // mov esi, action
		code = append(code, 0x31, 0xd2) // xor edx, edx
		code = append(code, 0x41)       // mov r10d, 8
		movImm(0xba, 8)                 //
		code = append(code, 0x0f, 0x05) // syscall
	}
	sigaction(17, ignore)
	sigaction(15, leave)
	sigaction(2, leave)
	movImm(0xb8, 34)                            // mov eax, pause
	code = append(code, 0x0f, 0x05, 0xeb, 0xf7) // syscall; jmp back
	handler := uint64(base + head + len(code))  //
	movImm(0xb8, 231)                           // mov eax, exit_group
	code = append(code, 0x31, 0xff, 0x0f, 0x05) // xor edi, edi; syscall
	for len(code) < codeSize {
		code = append(code, 0x90)
	}
	quads := func(vs ...uint64) {
		for _, v := range vs {
			code = le.AppendUint64(code, v)
		}
	}
	quads(1, 0, 0, 0)                      // SIG_IGN
	quads(handler, 0x04000000, handler, 0) // SA_RESTORER: the kernel wants one, it is never returned through

	size := uint64(head + len(code))
	elf := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, make([]byte, 9)...)
	elf = le.AppendUint16(elf, 2)  // executable
	elf = le.AppendUint16(elf, 62) // x86-64
	elf = le.AppendUint32(elf, 1)
	elf = le.AppendUint64(elf, base+head) // entry
	elf = le.AppendUint64(elf, 64)        // program headers
	elf = le.AppendUint64(elf, 0)
	elf = le.AppendUint32(elf, 0)
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {
		elf = le.AppendUint16(elf, v)
	}
	elf = le.AppendUint32(elf, 1) // load
	elf = le.AppendUint32(elf, 5) // readable, executable
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		elf = le.AppendUint64(elf, v)
	}
	return append(elf, code...)
}
