# Skiff. `make up` starts a cluster, `make test` is all that CI runs.

GO      ?= go
VERSION ?= v0.3.0
LDFLAGS := -s -w -X github.com/skiff-k8s/skiff/internal/cluster.Version=$(VERSION)
DATA    ?= /var/lib/skiff

.PHONY: help build tools deps up down reset images check clients test bench clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: tools ## build bin/skiff, bin/kubectl and the runtime's programs
	CGO_ENABLED=0 $(GO) build -tags grpcnotrace -trimpath -ldflags "$(LDFLAGS)" -o bin/ ./cmd/skiff ./cmd/skiff-cni

# The programs of others, from their Go modules. They change only with tools/go.mod.
tools: bin/containerd bin/runc bin/kubectl ## build containerd, its shim, runc and kubectl

bin/containerd: tools/go.mod
	cd tools && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=2.4.2" -tags "no_btrfs no_devmapper no_zfs no_tracing" -o ../bin/ github.com/containerd/containerd/v2/cmd/containerd github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
	@touch $@

bin/runc: tools/go.mod | deps
	cd tools && CGO_ENABLED=1 $(GO) build -trimpath -ldflags "-s -w -extldflags -static" -tags "seccomp netgo osusergo" -o ../bin/runc github.com/opencontainers/runc
	@touch $@

bin/kubectl: tools/go.mod tools/kubectl/main.go
	cd tools && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37" -o ../bin/kubectl ./kubectl
	@touch $@

deps: ## install the Debian packages that building and testing need
	@dpkg -s libseccomp-dev pkg-config curl iproute2 >/dev/null 2>&1 || (apt-get update -q && apt-get install -qy --no-install-recommends libseccomp-dev pkg-config curl iproute2)

up: build ## build and start a cluster on this host
	bin/skiff up --data-dir $(DATA)

down: ## stop the cluster; data stays
	bin/skiff down --data-dir $(DATA)

reset: ## remove everything the cluster made on this host
	bin/skiff reset -f --data-dir $(DATA)

images: ## build the offline images that tests use
	@apt-cache show nginx >/dev/null 2>&1 || apt-get update -q
	$(GO) run ./test/images -out test/images/out

check: ## vet everything (under a minute when built before)
	@test -z "$$(gofmt -l cmd internal test tools)" || (gofmt -l cmd internal test tools; exit 1)
	$(GO) vet -tags grpcnotrace ./...

clients: build ## build real clients (kubectl, helm, client-go of several versions) and run them against the server
	cd test/client && $(GO) run ./build && CGO_ENABLED=0 $(GO) test -trimpath -timeout 15m ./... && \
	for v in v0.34 v0.31; do CGO_ENABLED=0 $(GO) test -trimpath -timeout 5m -modfile $$v.mod -tags oldclients ./clientgo || exit 1; done

test: deps build images check ## all that CI runs: checks, unit tests, tutorials on real containers, real clients
	$(GO) test -tags grpcnotrace -timeout 20m ./...
	$(MAKE) clients

bench: build images ## measure start, memory, API and pods on this machine
	$(GO) run ./test/bench
