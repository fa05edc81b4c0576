package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// busybox is a shell and its tools. 1.28 is the version that tutorials name for
// its nslookup, which follows the search list of resolv.conf for every name; later ones do not.
func busybox(w *workshop) ([]image, error) {
	base, err := busyboxTree(w)
	if err != nil {
		return nil, err
	}
	tools, err := toolboxTree(w)
	if err != nil {
		return nil, err
	}
	old := newTree()
	program, err := hideTool(base.entries["/bin/busybox"].data, "nslookup", "nuke")
	if err != nil {
		return nil, err
	}
	old.file("/bin/busybox", program, 0o755)
	old.link("/bin/nslookup", "/bin/toolbox")
	run := v1.Config{Cmd: []string{"sh"}}
	return []image{
		{tags: []string{"docker.io/library/busybox:latest"}, layers: []*tree{base, tools}, config: run},
		{tags: []string{"docker.io/library/busybox:1.28"}, layers: []*tree{base, tools, old}, config: run},
	}, nil
}

// busyboxTree is busybox with a link for each of its tools, and the few files
// that make a root file system.
func busyboxTree(w *workshop) (*tree, error) {
	t := newTree()
	if err := w.debian(t, "busybox-static"); err != nil {
		return nil, err
	}
	program := t.take("/bin/busybox")
	clear(t.entries)
	bin := filepath.Join(w.cache, "busybox")
	if err := os.WriteFile(bin, program, 0o755); err != nil {
		return nil, err
	}
	list, err := exec.Command(bin, "--list").Output()
	if err != nil {
		return nil, err
	}
	if program, err = hideTool(program, "wget", "which"); err != nil {
		return nil, err
	}
	t.file("/bin/busybox", program, 0o755)
	for _, tool := range strings.Fields(string(list)) {
		if tool != "busybox" && tool != "wget" {
			t.link("/bin/"+tool, "/bin/busybox")
		}
	}
	t.link("/usr/bin/env", "/bin/busybox")
	t.text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n")
	t.text("/etc/group", "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnobody:x:65534:\n")
	t.text("/etc/nsswitch.conf", "hosts: files dns\n")
	t.dir("/root", 0o700)
	t.dir("/home", 0o755)
	t.dir("/tmp", 0o1777)
	t.dir("/var/tmp", 0o1777)
	t.dir("/var/www", 0o755)
	return t, nil
}

// hideTool renames a tool of busybox, in place. Its shell runs the tools that it
// has itself, whatever PATH holds, and so keeps ours from being found. The table of names is sorted
// and searched by halving: the new name has the place of the old one, before the next.
func hideTool(program []byte, name, next string) ([]byte, error) {
	hidden := name[:len(name)-1] + string(name[len(name)-1]+1)
	old := []byte("\x00" + name + "\x00" + next + "\x00")
	if bytes.Count(program, old) != 1 {
		return nil, fmt.Errorf("busybox has no tool %s before %s", name, next)
	}
	return bytes.Replace(program, old, []byte("\x00"+hidden+"\x00"+next+"\x00"), 1), nil
}

// toolboxTree is our program for images, and the tools that busybox lacks; the
// layer is the same in all images.
func toolboxTree(w *workshop) (*tree, error) {
	b, err := w.program("github.com/skiff-k8s/skiff/test/images/toolbox")
	if err != nil {
		return nil, err
	}
	t := newTree()
	t.file("/bin/toolbox", b, 0o755)
	t.link("/bin/wget", "/bin/toolbox")
	t.link("/bin/printenv", "/bin/toolbox")
	return t, nil
}
