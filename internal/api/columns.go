package api

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// ColumnHead is what the head of a printed column says.
type ColumnHead struct {
	Name        string
	Type        string // string when empty
	Format      string
	Priority    int32 // above 0: only with -o wide
	Description string
}

// Column is a printed column of a kind; a nil Cell takes the metadata that the
// name stands for (Name, Age, Created At).
type Column[T any] struct {
	ColumnHead
	Cell func(*T) any
}

// Columns are the printed columns in order.
type Columns[T any] []Column[T]

// ResourceColumn is a column of an erased row.
type ResourceColumn struct {
	ColumnHead
	Cell func(Object) any
}

// Name, Age and Created are the columns that nearly every kind has.
func NameColumn[T any]() Column[T] {
	return Column[T]{ColumnHead: ColumnHead{Name: "Name", Format: "name", Description: describeName}}
}

func AgeColumn[T any]() Column[T] {
	return Column[T]{ColumnHead: ColumnHead{Name: "Age", Description: describeCreated}}
}

// Text is a column of text.
func Text[T any](name, description string, cell func(*T) any) Column[T] {
	return Column[T]{ColumnHead{Name: name, Description: description}, cell}
}

// Wide is a column of text that only -o wide shows.
func Wide[T any](name, description string, cell func(*T) any) Column[T] {
	return Column[T]{ColumnHead{Name: name, Description: description, Priority: 1}, cell}
}

// Number is a column of integers.
func Number[T any](name, description string, cell func(*T) any) Column[T] {
	return Column[T]{ColumnHead{Name: name, Type: "integer", Description: description}, cell}
}

const (
	describeName    = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
	describeCreated = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)

func metaCell(name string) func(Object) any {
	switch name {
	case "Name":
		return func(o Object) any { return o.GetName() }
	case "Age":
		return func(o Object) any { return Age(o.GetCreationTimestamp()) }
	case "Created At":
		return func(o Object) any { return o.GetCreationTimestamp().UTC().Format(time.RFC3339) }
	}
	panic("api: column " + name + " has no cell")
}

// DefaultColumns are printed for kinds that name none.
var DefaultColumns = []ResourceColumn{
	{ColumnHead{Name: "Name", Format: "name", Description: describeName}, metaCell("Name")},
	{ColumnHead{Name: "Created At", Type: "date", Description: describeCreated}, metaCell("Created At")},
}

// Age prints how long ago t was, as kubectl does.
func Age(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(t.Time))
}
