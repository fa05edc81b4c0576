package main

import v1 "github.com/google/go-containerregistry/pkg/v1"

// hello is a web server of ours that says its version and host name, for tests of
// services, probes and updates; see the package toolbox for what else it does. Busybox is in it for exec.
func hello(w *workshop) ([]image, error) {
	base, err := busyboxTree(w)
	if err != nil {
		return nil, err
	}
	tools, err := toolboxTree(w)
	if err != nil {
		return nil, err
	}
	server := newTree()
	for _, name := range []string{"/hello", "/bin/client", "/usr/bin/curl"} {
		server.link(name, "/bin/toolbox")
	}
	var images []image
	for _, version := range []string{"v1", "v2"} {
		images = append(images, image{
			tags:   []string{"docker.io/library/hello:" + version},
			layers: []*tree{base, tools, server},
			config: v1.Config{Entrypoint: []string{"/hello"}, Env: []string{"VERSION=" + version}, ExposedPorts: map[string]struct{}{"8080/tcp": {}}},
		})
	}
	return images, nil
}
