// Command images builds the container images that the tests import, with no
// registry: from Debian packages of this machine's release and from Go programs of ours. The
// result of each name is one docker archive, NAME.tar, for `skiff image import`.
//
//	go run ./test/images -out DIR [busybox nginx hello tutorial]
//
// It needs apt's package lists (`apt-get update`) the first time; the packages are
// kept in a cache, and an archive is written anew only when something that goes
// into it has changed. Everything in an archive has the same, fixed time.
//
// Read image.go (how files become layers and archives), debian.go (packages), then
// one file per image.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// workshop is what the images are made from.
type workshop struct {
	cache string // packages and programs
}

// recipes make the images of an archive.
var recipes = map[string]func(*workshop) ([]image, error){
	"busybox":  busybox,
	"nginx":    nginx,
	"hello":    hello,
	"tutorial": tutorial,
}

func main() {
	out := flag.String("out", "test/images/out", "where the archives go")
	cache := flag.String("cache", "", "where packages are kept (default: images below the user's cache of skiff)")
	flag.Parse()
	if err := run(*out, *cache, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(out, cache string, names []string) error {
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		cache = filepath.Join(dir, "skiff", "images")
	}
	for _, dir := range []string{out, cache} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(recipes))
	}
	for _, name := range names {
		recipe, ok := recipes[name]
		if !ok {
			return fmt.Errorf("there is no image %q, but %v", name, slices.Sorted(maps.Keys(recipes)))
		}
		began := time.Now()
		path := filepath.Join(out, name+".tar")
		fresh, err := write(path, cache, recipe)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		state := "unchanged"
		if fresh {
			state = "built"
		}
		fmt.Printf("%s %s in %v\n", path, state, time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// program builds one of our Go programs for containers and returns it.
func (w *workshop) program(pkg string) ([]byte, error) {
	bin := filepath.Join(w.cache, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-buildvcs=false", "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return os.ReadFile(bin)
}
