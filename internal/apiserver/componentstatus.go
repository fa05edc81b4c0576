package apiserver

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// componentStatuses says how the parts are that this process is: whoever can ask
// finds them running. The store tells its own health.
func (s *Server) componentStatuses(res *api.Resource) ([]*entry, error) {
	var out []*entry
	for _, name := range []string{"controller-manager", "etcd-0", "scheduler"} {
		cond := corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}
		if name == "etcd-0" {
			if err := s.feed.health(); err != nil {
				cond.Status, cond.Message, cond.Error = corev1.ConditionFalse, "", err.Error()
			}
		}
		e, err := newEntry(res, res.Key("", name), &corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: name}, Conditions: []corev1.ComponentCondition{cond}})
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		out = append(out, e)
	}
	return out, nil
}

// serveComponentStatus answers get and list.
func (s *Server) serveComponentStatus(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	if x.verb == "watch" {
		return apierrors.NewMethodNotSupported(res.GroupResource(), "watch")
	}
	o, err := parseListOptions(res, "", x.name, r.URL.Query())
	if err != nil {
		return err
	}
	all, err := s.componentStatuses(res)
	if err != nil {
		return err
	}
	p := &page{}
	for _, e := range all {
		if o.sel.matches(e) {
			p.entries = append(p.entries, e)
		}
	}
	switch {
	case x.verb == "list":
		return s.writePage(w, r, x, res, p)
	case x.verb != "get":
		return notAllowed(x)
	case len(p.entries) == 0:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "componentstatus"}, x.name) // compat: one of them
	}
	s.writeEntry(w, r, x, http.StatusOK, p.entries[0])
	return nil
}
