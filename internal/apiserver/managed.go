package apiserver

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/managedfields"
)

const maxManager = 128

// fieldManagerOf is who owns what a request sets: whom it names, or else its program.
func fieldManagerOf(named, agent string) string {
	if named != "" {
		return named
	}
	program, _, _ := strings.Cut(agent, "/")
	program = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, program)
	for len(program) > maxManager {
		_, size := utf8.DecodeLastRuneInString(program)
		program = program[:len(program)-size]
	}
	return program
}

// track notes in next's managedFields what this write changes.
func (s *Server) track(t *target, next, old api.Object) {
	if t.applied {
		return
	}
	sub := t.sub
	if t.via != "" {
		sub = t.via
	}
	if sub == "binding" || sub == "eviction" || sub == "scale" && t.res.Custom == nil && !managedfields.Owns(old.GetManagedFields(), "f:spec", "f:replicas") {
		// compat: nobody owns what a binding sets, or replicas that nobody owned before they are scaled.
		next.SetManagedFields(old.GetManagedFields())
		return
	}
	w := managedfields.Write{Manager: t.manager, APIVersion: t.gvk().GroupVersion().String(), Subresource: sub, Time: s.now(), Ignored: ignored(t.res, sub),
		Versions: t.res.Versions, Knows: func(v string) bool { return hasVersion(t.res, v) }}
	if u, ok := next.(*unstructured.Unstructured); ok {
		s.trackCustom(t.res, u, old, w)
		return
	}
	if old == nil {
		managedfields.Update(next, nil, w)
		return
	}
	managedfields.Update(next, old, w)
}

// hasVersion tells whether a kind is served in a version, given as group/version.
func hasVersion(r *api.Resource, apiVersion string) bool {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return false
	}
	if r.Custom != nil {
		return gv.Group == r.GVK.Group && r.Custom.Versions[gv.Version] != nil
	}
	return gv == r.GVK.GroupVersion() || slices.ContainsFunc(r.Versions, func(v *api.Version) bool { return v.GVK.GroupVersion() == gv })
}

// carryManaged keeps the account where a subresource is written; only apply brings its own.
func (s *Server) carryManaged(t *target, merged, next api.Object) {
	if t.applied {
		merged.SetManagedFields(next.GetManagedFields())
	}
}

// onlyTimes tells that a write changes nothing but times in managedFields; such a write is not made.
func (s *Server) onlyTimes(t *target, probe, cur *entry) bool {
	was, is := cur.object().GetManagedFields(), probe.object().GetManagedFields()
	if !managedfields.Same(was, is) || slices.EqualFunc(was, is, func(a, b metav1.ManagedFieldsEntry) bool { return a.Time.Equal(b.Time) }) {
		return false
	}
	same := probe.object().DeepCopyObject().(api.Object)
	same.SetManagedFields(was)
	again, err := newEntry(t.res, cur.key, same)
	return err == nil && string(again.value) == string(cur.value)
}

var (
	notStatus = []string{"spec"}
	notSpec   = []string{"status"}
)

// ignored are the top-level fields that a write of the subresource cannot set.
func ignored(r *api.Resource, sub string) []string {
	switch {
	case sub == "status":
		return notStatus
	case sub == "" && r.Status != nil:
		return notSpec
	}
	return nil
}
