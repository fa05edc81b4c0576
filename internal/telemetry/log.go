// Package telemetry sets up what Skiff tells about itself: logs (log.go).
package telemetry

import (
	"io"
	"log/slog"

	"k8s.io/klog/v2"
)

// NewLog returns the process's log. Libraries that log through klog end up in it too.
func NewLog(w io.Writer, verbosity int) *slog.Logger {
	level := slog.LevelInfo
	if verbosity > 0 {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
	klog.SetSlogLogger(log.With("from", "library"))
	return log
}
