package apiserver

import (
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkLogOptions refuses what nobody can ask of the log of a pod's container.
func checkLogOptions(pod string, q url.Values) error {
	numbers := map[string]int64{}
	for _, name := range []string{"tailLines", "limitBytes", "sinceSeconds"} {
		if !q.Has(name) {
			continue
		}
		n, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		numbers[name] = n
	}
	since := q.Get("sinceTime")
	if since != "" {
		if _, err := time.Parse(time.RFC3339, since); err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	var errs field.ErrorList
	atLeast := func(name string, least int64, words string) {
		if n, ok := numbers[name]; ok && n < least {
			errs = append(errs, field.Invalid(field.NewPath(name), n, "must be greater than "+words))
		}
	}
	atLeast("tailLines", 0, "or equal to 0")
	atLeast("limitBytes", 1, "0")
	if _, ok := numbers["sinceSeconds"]; ok && since != "" {
		errs = append(errs, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
	} else {
		atLeast("sinceSeconds", 1, "0")
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "PodLogOptions"}, pod, errs)
	}
	return nil
}
