package client

import "github.com/skiff-k8s/skiff/internal/api"

// Recorder writes events (core/v1) about objects. Recording never blocks on the
// API and never fails the caller; repeats of an event are counted in one object.
type Recorder interface {
	// Record tells that component did something about an object. eventType is
	// Normal or Warning.
	Record(component string, about api.Object, eventType, reason, action, message string)
	// RecordFrom is Record for a component on a node (source.host).
	RecordFrom(component, host string, about api.Object, fieldPath, eventType, reason, message string)
}
