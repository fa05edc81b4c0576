module github.com/skiff-k8s/skiff

go 1.26.0
