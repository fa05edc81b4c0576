package main

import v1 "github.com/google/go-containerregistry/pkg/v1"

// tutorial stands in for images that tutorials have their readers build or pull:
// a web server in several versions, one of which does not start, and a client with curl.
func tutorial(w *workshop) ([]image, error) {
	base, err := busyboxTree(w)
	if err != nil {
		return nil, err
	}
	tools, err := toolboxTree(w)
	if err != nil {
		return nil, err
	}
	server, curl := newTree(), newTree()
	server.link("/hello", "/bin/toolbox")
	curl.link("/usr/bin/curl", "/bin/toolbox")
	layers := []*tree{base, tools, server}
	serve := func(args ...string) v1.Config {
		return v1.Config{Entrypoint: []string{"/hello"}, Cmd: args}
	}
	return []image{
		{[]string{"docker.io/leigg/hellok8s:v1"}, layers, serve("-port", "3000", "-greeting", "[v1] Hello, Kubernetes!")},
		{[]string{"docker.io/leigg/hellok8s:v2"}, layers, serve("-port", "3000", "-greeting", "[v2] Hello, Kubernetes!")},
		{[]string{"docker.io/leigg/hellok8s:v2_problem"}, layers, serve("-panic", "something went wrong")},
		{[]string{"docker.io/leigg/hellok8s:v3"}, layers, serve("-port", "3000", "-greeting", "[v3] Hello, Kubernetes!, From host: {host}")},
		{[]string{"gcr.io/google_containers/test-webserver:latest"}, layers, serve("-port", "80")},
		{[]string{"docker.io/appropriate/curl:latest"}, []*tree{base, tools, curl}, v1.Config{Entrypoint: []string{"curl"}}},
	}, nil
}
