package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTree(t *testing.T) {
	make := func() []byte {
		tr := newTree()
		tr.file("/b/c", []byte("text"), 0o100755)
		tr.dir("/a", 0o1777)
		tr.link("/b/a", "c")
		tr.own("/a", 101)
		b, err := tr.tar()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(make(), make()) {
		t.Error("the same files give different layers")
	}
	var got []string
	for r := tar.NewReader(bytes.NewReader(make())); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(epoch) {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	if want := []string{"dtrwxrwxrwx a/", "drwxr-xr-x b/", "Lrwxrwxrwx b/a", "-rwxr-xr-x b/c"}; !slices.Equal(got, want) {
		t.Errorf("layer %q, want %q", got, want)
	}
}

func TestWriteOnlyWhatChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.tar")
	recipe := func(text string) func(*workshop) ([]image, error) {
		return func(*workshop) ([]image, error) {
			tr := newTree()
			tr.text("/f", text)
			return []image{{tags: []string{"docker.io/library/x:1"}, layers: []*tree{tr}}}, nil
		}
	}
	for _, step := range []struct {
		text  string
		fresh bool
	}{{"a", true}, {"a", false}, {"b", true}} {
		if fresh, err := write(file, t.TempDir(), recipe(step.text)); err != nil || fresh != step.fresh {
			t.Errorf("%s: written %t, error %v", step.text, fresh, err)
		}
	}
}

func TestNginxVersion(t *testing.T) {
	program := []byte("\x00Server: nginx/1.22.1\r\n\x00nginx/1.22.1\x00")
	tr, err := nginxVersion(program, "1.7.9")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(tr.take("/usr/sbin/nginx")); got != "\x00Server: nginx/1.7.9 \r\n\x00nginx/1.7.9 \x00" {
		t.Errorf("program %q", got)
	}
	if !strings.Contains(string(tr.take("/etc/nginx/nginx.conf")), "'Server: nginx/1.7.9'") {
		t.Error("the configuration does not set the header")
	}
	if _, err := nginxVersion(program, "1.22.1000"); err == nil {
		t.Error("a longer version is accepted")
	}
	if _, err := nginxVersion([]byte("another program"), "1.7.9"); err == nil {
		t.Error("a program without a version is accepted")
	}
}

func TestHideTool(t *testing.T) {
	got, err := hideTool([]byte("x\x00wc\x00wget\x00which\x00wget"), "wget", "which")
	if err != nil || string(got) != "x\x00wc\x00wgeu\x00which\x00wget" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := hideTool([]byte("none"), "wget", "which"); err == nil {
		t.Error("a tool that is not there was hidden")
	}
}
