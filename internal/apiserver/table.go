package apiserver

import (
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/skiff-k8s/skiff/internal/api"
)

// includeObject is how much of each object a table carries: None, Metadata or Object.
func includeObject(r *http.Request) metav1.IncludeObjectPolicy {
	if p := metav1.IncludeObjectPolicy(r.URL.Query().Get("includeObject")); p != "" {
		return p
	}
	return metav1.IncludeMetadata
}

// tableOf prints entries as kubectl get shows them. Later tables of a watch leave out the heads.
func tableOf(r *api.Resource, entries []*entry, rev string, form accepted, include metav1.IncludeObjectPolicy, heads bool) (*metav1.Table, error) {
	if include != metav1.IncludeNone && include != metav1.IncludeMetadata && include != metav1.IncludeObject {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("Unable to convert to Table as requested: includeObject: Invalid value: %q: must be 'Metadata', 'Object', 'None', or empty", include))
	}
	t := &metav1.Table{
		TypeMeta: metav1.TypeMeta{APIVersion: form.group(), Kind: "Table"},
		ListMeta: metav1.ListMeta{ResourceVersion: rev},
		Rows:     make([]metav1.TableRow, 0, len(entries)),
	}
	columns := r.Columns
	if len(columns) == 0 {
		columns = api.DefaultColumns
	}
	if heads {
		t.ColumnDefinitions = columnHeads(columns)
	}
	for _, e := range entries {
		row := metav1.TableRow{Cells: make([]any, len(columns))}
		o := e.object()
		for i, c := range columns {
			row.Cells[i] = c.Cell(o)
		}
		if r.RowConditions != nil {
			row.Conditions = r.RowConditions(o)
		}
		var err error
		if row.Object.Raw, err = rowObject(e, form, include); err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func columnHeads(columns []api.ResourceColumn) []metav1.TableColumnDefinition {
	out := make([]metav1.TableColumnDefinition, len(columns))
	for i, c := range columns {
		out[i] = metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Priority: c.Priority, Description: c.Description}
		if out[i].Type == "" {
			out[i].Type = "string"
		}
	}
	return out
}

func rowObject(e *entry, form accepted, include metav1.IncludeObjectPolicy) ([]byte, error) {
	switch include {
	case metav1.IncludeNone:
		return []byte("null"), nil
	case metav1.IncludeObject:
		return e.JSON()
	}
	return marshalJSON(partialOf(e.object(), form))
}

// partialOf is the object's metadata alone.
func partialOf(o api.Object, form accepted) *metav1.PartialObjectMetadata {
	p := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: form.group(), Kind: "PartialObjectMetadata"}}
	if m, ok := o.(interface{ GetObjectMeta() metav1.Object }); ok {
		if om, ok := m.GetObjectMeta().(*metav1.ObjectMeta); ok {
			p.ObjectMeta = *om
			return p
		}
	}
	p.Name, p.GenerateName, p.Namespace, p.UID = o.GetName(), o.GetGenerateName(), o.GetNamespace(), o.GetUID()
	p.ResourceVersion, p.Generation = o.GetResourceVersion(), o.GetGeneration()
	p.CreationTimestamp, p.DeletionTimestamp = o.GetCreationTimestamp(), o.GetDeletionTimestamp()
	p.Labels, p.Annotations = o.GetLabels(), o.GetAnnotations()
	p.DeletionGracePeriodSeconds, p.SelfLink = o.GetDeletionGracePeriodSeconds(), o.GetSelfLink()
	p.OwnerReferences, p.Finalizers, p.ManagedFields = o.GetOwnerReferences(), o.GetFinalizers(), o.GetManagedFields()
	return p
}

var _ runtime.Object = (*metav1.Table)(nil)

func revText(rev int64) string { return strconv.FormatInt(rev, 10) }
