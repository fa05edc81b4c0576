package containerd

import (
	"encoding/binary"
	"fmt"
)

// Where the program is in memory: the ELF header and one program header, the
// code, then the data, all in one piece.
const (
	pauseBase = 0x400000
	pauseHead = 64 + 56
	pauseCode = 128 // room for the code
	// Two struct sigaction, 32 bytes each: {handler, flags, restorer, mask}.
	pauseIgnore = pauseBase + pauseHead + pauseCode
	pauseLeave  = pauseIgnore + 32
)

var le = binary.LittleEndian

// pauseProgram is a static Linux program of 312 bytes, assembled here, so that a
// cluster starts without a registry. It ignores SIGCHLD (then the kernel reaps what a pod's processes leave
// behind when they share its PID namespace), ends on SIGTERM and SIGINT, and sleeps.
func pauseProgram(arch string) ([]byte, error) {
	var machine uint16
	var code []byte
	var handler uint64
	switch arch {
	case "amd64":
		machine = 62
		code, handler = pauseAMD64()
	case "arm64":
		machine = 183
		code, handler = pauseARM64()
	default:
		return nil, fmt.Errorf("there is no built-in sandbox image for %s; import one as %s", arch, PauseImage)
	}
	code = append(code, make([]byte, pauseCode-len(code))...)
	quads := func(vs ...uint64) {
		for _, v := range vs {
			code = le.AppendUint64(code, v)
		}
	}
	quads(1, 0, 0, 0)                      // SIG_IGN
	quads(handler, 0x04000000, handler, 0) // SA_RESTORER: amd64 wants one, it is never returned through

	size := uint64(pauseHead + len(code))
	elf := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, make([]byte, 9)...)
	elf = le.AppendUint16(elf, 2) // executable
	elf = le.AppendUint16(elf, machine)
	elf = le.AppendUint32(elf, 1)
	elf = le.AppendUint64(elf, pauseBase+pauseHead) // entry
	elf = le.AppendUint64(elf, 64)                  // program headers
	elf = le.AppendUint64(elf, 0)
	elf = le.AppendUint32(elf, 0)
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {
		elf = le.AppendUint16(elf, v)
	}
	elf = le.AppendUint32(elf, 1) // load
	elf = le.AppendUint32(elf, 5) // readable, executable
	for _, v := range []uint64{0, pauseBase, pauseBase, size, size, 0x10000} {
		elf = le.AppendUint64(elf, v)
	}
	return append(elf, code...), nil
}

func pauseAMD64() (code []byte, handler uint64) {
	mov := func(opcode byte, v uint32) { code = le.AppendUint32(append(code, opcode), v) }
	sigaction := func(signal, action uint32) {
		mov(0xb8, 13)                   // mov eax, rt_sigaction
		mov(0xbf, signal)               // mov edi, signal
		mov(0xbe, action)               // mov esi, action
		code = append(code, 0x31, 0xd2) // xor edx, edx
		code = append(code, 0x41)       // mov r10d, 8 …
		mov(0xba, 8)                    // … the size of a signal set
		code = append(code, 0x0f, 0x05) // syscall
	}
	sigaction(17, pauseIgnore)
	sigaction(15, pauseLeave)
	sigaction(2, pauseLeave)
	mov(0xb8, 34)                               // mov eax, pause
	code = append(code, 0x0f, 0x05, 0xeb, 0xf7) // syscall; jmp to the mov
	handler = pauseBase + pauseHead + uint64(len(code))
	mov(0xb8, 231)                              // mov eax, exit_group
	code = append(code, 0x31, 0xff, 0x0f, 0x05) // xor edi, edi; syscall
	return code, handler
}

func pauseARM64() (code []byte, handler uint64) {
	put := func(instruction uint32) { code = le.AppendUint32(code, instruction) }
	mov := func(register, v uint32) { put(0xd2800000 | v<<5 | register) } // movz xN, #v
	const svc, x0, x1, x2, x3, x4, x8 = 0xd4000001, 0, 1, 2, 3, 4, 8
	mov(x2, 0)
	mov(x3, 8)   // the size of a signal set
	mov(x8, 134) // rt_sigaction
	sigaction := func(signal, action uint32) {
		mov(x0, signal)
		put(0xd2a00000 | action>>16<<5 | x1)    // movz x1, #high, lsl #16
		put(0xf2800000 | action&0xffff<<5 | x1) // movk x1, #low
		put(svc)
	}
	sigaction(17, pauseIgnore)
	sigaction(15, pauseLeave)
	sigaction(2, pauseLeave)
	loop := len(code)
	// There is no pause: ppoll(nil, 0, nil, nil, 0). x2 is 0 still.
	mov(x0, 0)
	mov(x1, 0)
	mov(x3, 0)
	mov(x4, 0)
	mov(x8, 73)
	put(svc)
	back := uint32(loop-len(code)) / 4
	put(0x14000000 | back&0x3ffffff) // b loop
	handler = pauseBase + pauseHead + uint64(len(code))
	mov(x8, 94) // exit_group
	mov(x0, 0)
	put(svc)
	return code, handler
}
