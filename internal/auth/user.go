// Package auth tells who is asking (certificates, service-account tokens) and
// whether they may. It has no HTTP server in it.
package auth

import (
	"crypto/x509"
	"slices"
)

// User is who asks.
type User struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
}

const (
	GroupMasters         = "system:masters"
	GroupAuthenticated   = "system:authenticated"
	GroupServiceAccounts = "system:serviceaccounts"
)

// System is Skiff itself.
var System = &User{Name: "system:apiserver", Groups: []string{GroupMasters, GroupAuthenticated}}

// Component is a part of Skiff that acts under the name that Kubernetes gives it ("kube-scheduler").
func Component(name string) *User {
	return &User{Name: "system:" + name, Groups: System.Groups}
}

// In tells whether the user is in a group.
func (u *User) In(group string) bool { return slices.Contains(u.Groups, group) }

// FromCertificate is the user that a verified client certificate names: the
// common name is the user, the organisations are the groups.
func FromCertificate(c *x509.Certificate) *User {
	return &User{Name: c.Subject.CommonName, Groups: append(slices.Clone(c.Subject.Organization), GroupAuthenticated)}
}
