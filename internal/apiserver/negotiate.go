package apiserver

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// accepted is the form in which a client wants its answer.
type accepted struct {
	media  string // mediaJSON, mediaYAML, mediaProtobuf or mediaCBOR; "": it was not asked yet
	as     string // "", "Table", "PartialObjectMetadata", "PartialObjectMetadataList", "APIGroupDiscoveryList"
	v      string // version of as
	pretty bool
}

// group is the version of meta.k8s.io that the form is of.
func (a accepted) group() string {
	if a.v == "v1beta1" {
		return "meta.k8s.io/v1beta1"
	}
	return "meta.k8s.io/v1"
}

// negotiate chooses the first form of the Accept header that we can give, in the
// client's order of preference. offers tells which "as" forms there are, messages whether
// there is a protobuf form beside them.
func negotiate(r *http.Request, offers func(as, group, version string) bool, messages bool) (accepted, error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if header == "" {
		header = "*/*"
	}
	best, bestQ := accepted{}, -1.0
	for _, part := range strings.Split(header, ",") {
		mt, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		a := accepted{}
		switch mt {
		case "*/*", "application/*", mediaJSON:
			a.media = mediaJSON
		case mediaYAML:
			a.media = mediaYAML
		case mediaProtobuf:
			a.media = mediaProtobuf
		case mediaCBOR, mediaCBORSequence:
			a.media = mediaCBOR
		default:
			continue
		}
		if as := params["as"]; as != "" {
			if offers == nil || !offers(as, params["g"], params["v"]) || as == "Table" && a.media == mediaProtobuf {
				continue
			}
			a.as, a.v = as, params["v"]
		} else if a.media == mediaProtobuf && !messages {
			continue
		}
		q := 1.0
		if p := params["q"]; p != "" {
			if f, err := strconv.ParseFloat(p, 64); err == nil {
				q = f
			}
		}
		if q > bestQ {
			best, bestQ = a, q
		}
	}
	if bestQ < 0 {
		return best, notAcceptable(mediaJSON, mediaYAML, mediaProtobuf, mediaCBOR)
	}
	best.pretty = wantsPretty(r)
	return best, nil
}

func notAcceptable(media ...string) error {
	return formless("only the following media types are accepted: " + strings.Join(media, ", "))
}

// formless refuses a form that what is there does not have.
func formless(text string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable, Message: text}}
}

// internalName is what Kubernetes' servers call a type.
func internalName(r *api.Resource, kind string) string {
	if r.Custom != nil {
		if kind != r.GVK.Kind {
			return "*unstructured.UnstructuredList"
		}
		return "*unstructured.Unstructured"
	}
	name, _, _ := strings.Cut(groupName(r.GVK.Group), ".")
	return "*" + name + "." + kind
}

// wantsPretty guesses, as upstream does, that whoever reads the answer by eye wants it indented.
func wantsPretty(r *http.Request) bool {
	if p := r.URL.Query().Get("pretty"); p != "" {
		on, _ := strconv.ParseBool(p)
		return on
	}
	ua := r.Header.Get("User-Agent")
	return strings.HasPrefix(ua, "curl") || strings.HasPrefix(ua, "Wget") || strings.HasPrefix(ua, "Mozilla/5.0")
}

// objectForms are the "as" forms of objects and lists.
func objectForms(as, group, version string) bool {
	if group != "meta.k8s.io" || version != "v1" && version != "v1beta1" {
		return false
	}
	return as == "Table" || as == "PartialObjectMetadata" || as == "PartialObjectMetadataList"
}
