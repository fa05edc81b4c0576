package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// debian adds the files of packages that a running program needs: no
// documentation, translations or package data.
func (w *workshop) debian(t *tree, packages ...string) error {
	for _, name := range packages {
		deb, err := w.fetch(name)
		if err != nil {
			return err
		}
		if err := unpack(t, deb); err != nil {
			return fmt.Errorf("package %s: %w", name, err)
		}
	}
	return nil
}

// fetch returns the file of a package, downloaded if it is not in the cache.
func (w *workshop) fetch(name string) (string, error) {
	find := func() (string, error) {
		files, err := filepath.Glob(filepath.Join(w.cache, name+"_*.deb"))
		if err != nil || len(files) == 0 {
			return "", err
		}
		return files[len(files)-1], nil
	}
	if file, err := find(); err != nil || file != "" {
		return file, err
	}
	// apt writes into the working directory, under the name of a finished file from the beginning.
	dir, err := os.MkdirTemp(w.cache, "download-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	// Root downloads as root: apt's own user may not enter the cache.
	cmd := exec.Command("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get download %s (has `apt-get update` run?): %w\n%s", name, err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("apt-get download %s gave %d packages", name, len(files))
	}
	if err := os.Rename(files[0], filepath.Join(w.cache, filepath.Base(files[0]))); err != nil {
		return "", err
	}
	return find()
}

var dropped = []string{"/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/lintian", "/usr/share/menu", "/usr/share/info", "/usr/share/vim", "/usr/lib/systemd", "/lib/systemd", "/etc/init.d", "/etc/logrotate.d", "/etc/ufw"}

func unpack(t *tree, deb string) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	r := tar.NewReader(bytes.NewReader(out))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)
		if name == "/" || isDropped(name) {
			continue
		}
		switch h.Typeflag {
		case tar.TypeDir:
			t.dir(name, h.Mode)
		case tar.TypeReg:
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			t.file(name, b, h.Mode)
		case tar.TypeSymlink:
			t.link(name, h.Linkname)
		default:
			return fmt.Errorf("%s is neither file, folder nor symbolic link", name)
		}
	}
}

func isDropped(name string) bool {
	for _, d := range dropped {
		if name == d || strings.HasPrefix(name, d+"/") {
			return true
		}
	}
	return strings.Contains(name, "/gconv")
}
