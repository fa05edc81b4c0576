#!/bin/sh
# Makes internal/api/schema's data anew from the comments of k8s.io/api, and of the types that we have of versions
# that it has no more: run it after a change of that module's version, or of those types. It needs the module proxy and half a minute.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(cd "$root" && go list -m -f '{{.Version}}' k8s.io/api)
mkdir "$work/definitions"
cp "$here/dump.go.txt" "$work/main.go"
for old in v2beta1 v2beta2; do
	mkdir "$work/$old"
	cp "$root/internal/api/autoscaling/$old/types.go" "$root/internal/api/autoscaling/$old/object.go" "$work/$old"
	# openapi-gen goes by this, not by the methods of the types.
	printf '// +k8s:openapi-gen=true\n// +k8s:openapi-model-package=io.k8s.api.autoscaling.%s\n\npackage %s\n' $old $old >"$work/$old/doc.go"
done
cd "$work"
go mod init dump
go get "k8s.io/api@$version" "k8s.io/apimachinery@$version" "k8s.io/client-go@$version" \
	"k8s.io/apiextensions-apiserver@$version" "k8s.io/kube-aggregator@$version"
# The generator of that release, not a later one.
go get "k8s.io/kube-openapi/cmd/openapi-gen@$(go list -m -f '{{.Version}}' k8s.io/kube-openapi)"
packages=$(cd "$(go list -m -f '{{.Dir}}' k8s.io/api)" && find . -name zz_generated.model_name.go | sed 's|^\./|k8s.io/api/|;s|/[^/]*$||' | sort)
# The model names are methods of the types already: openapi-gen must not write any.
go run k8s.io/kube-openapi/cmd/openapi-gen --go-header-file /dev/null --report-filename /dev/null \
	--output-dir definitions --output-pkg dump/definitions --output-file definitions.go $packages \
	k8s.io/apimachinery/pkg/apis/meta/v1 k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version \
	k8s.io/apimachinery/pkg/api/resource k8s.io/apimachinery/pkg/util/intstr \
	k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1 k8s.io/kube-aggregator/pkg/apis/apiregistration/v1 \
	./v2beta1 ./v2beta2
go mod tidy
go run . "$root/internal/api/schema"
