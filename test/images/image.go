package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image is one image of an archive: its tags, its layers from the bottom up and
// how it is run.
type image struct {
	tags   []string
	layers []*tree
	config v1.Config
}

// tree is the content of a layer.
type tree struct{ entries map[string]entry }

type entry struct {
	header tar.Header
	data   []byte
}

func newTree() *tree { return &tree{entries: map[string]entry{}} }

func (t *tree) file(name string, data []byte, mode int64) {
	t.put(name, entry{tar.Header{Typeflag: tar.TypeReg, Mode: mode & 0o7777, Size: int64(len(data))}, data})
}

func (t *tree) text(name, data string) { t.file(name, []byte(data), 0o644) }

func (t *tree) dir(name string, mode int64) {
	t.put(name, entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: mode & 0o7777}})
}

func (t *tree) link(name, target string) {
	t.put(name, entry{header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}})
}

// own gives a file or folder to a user and the group of the same number.
func (t *tree) own(name string, id int) {
	e := t.entries[name]
	e.header.Uid, e.header.Gid = id, id
	t.entries[name] = e
}

func (t *tree) put(name string, e entry) {
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if _, ok := t.entries[dir]; !ok {
			t.entries[dir] = entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}
		}
	}
	t.entries[name] = e
}

// take removes a file and returns its content.
func (t *tree) take(name string) []byte {
	e := t.entries[name]
	delete(t.entries, name)
	return e.data
}

// epoch is the time of everything in an image, so that the same content gives the same digest.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// tar is the layer as a file. Sorted names put a folder before what is in it.
func (t *tree) tar() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		e := t.entries[name]
		h := e.header
		h.Name, h.ModTime, h.Format = strings.TrimPrefix(name, "/"), epoch, tar.FormatPAX
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// write makes an archive unless the one that is there was made from the same
// images. Layers are not compressed: archives are read once, on the same machine.
func write(file, cache string, recipe func(*workshop) ([]image, error)) (fresh bool, err error) {
	images, err := recipe(&workshop{cache: cache})
	if err != nil {
		return false, err
	}
	built := map[*tree]v1.Layer{}
	refs := map[name.Reference]v1.Image{}
	key := sha256.New()
	for _, img := range images {
		made, err := assemble(img, built)
		if err != nil {
			return false, err
		}
		digest, err := made.Digest()
		if err != nil {
			return false, err
		}
		for _, tag := range img.tags {
			ref, err := name.NewTag(tag)
			if err != nil {
				return false, err
			}
			refs[ref] = made
			key.Write([]byte(tag + "=" + digest.String() + "\n"))
		}
	}
	want := hex.EncodeToString(key.Sum(nil))
	if have, err := os.ReadFile(file + ".key"); err == nil && string(have) == want {
		if _, err := os.Stat(file); err == nil {
			return false, nil
		}
	}
	if err := tarball.MultiRefWriteToFile(file+".new", refs); err != nil {
		return false, err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return false, err
	}
	return true, os.WriteFile(file+".key", []byte(want), 0o644)
}

// assemble makes the image; a tree that several images share is one layer.
func assemble(img image, built map[*tree]v1.Layer) (v1.Image, error) {
	var layers []v1.Layer
	for _, t := range img.layers {
		if built[t] == nil {
			b, err := t.tar()
			if err != nil {
				return nil, err
			}
			built[t] = static.NewLayer(b, types.DockerUncompressedLayer)
		}
		layers = append(layers, built[t])
	}
	made, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	cfg, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", runtime.GOARCH, v1.Time{Time: epoch}
	for i := range cfg.History {
		cfg.History[i].Created = v1.Time{Time: epoch}
	}
	cfg.Config = img.config
	cfg.Config.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, cfg.Config.Env...)
	if made, err = mutate.ConfigFile(made, cfg); err != nil {
		return nil, err
	}
	return mutate.ConfigMediaType(mutate.MediaType(made, types.DockerManifestSchema2), types.DockerConfigJSON), nil
}
