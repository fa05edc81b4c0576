package apiserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/skiff-k8s/skiff/internal/api/all"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxBody bounds a request body, as upstream does.
const maxBody = 3 * 1024 * 1024

// The media types that bodies come in.
const (
	mediaJSON     = "application/json"
	mediaYAML     = "application/yaml"
	mediaProtobuf = "application/vnd.kubernetes.protobuf"
)

// fieldValidation says what happens to unknown and duplicate fields.
type fieldValidation string

const (
	ignoreFields fieldValidation = "Ignore"
	warnFields   fieldValidation = "Warn"
	strictFields fieldValidation = "Strict"
)

// fieldValidationOf is what a request that was found valid asks for.
func fieldValidationOf(v string) fieldValidation {
	if v == "" {
		return warnFields
	}
	return fieldValidation(v)
}

// readBody reads the whole body, within bounds.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, unsupportedEncoding(e)
	}
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	// Senders of a byte a minute must not hold a request open. Errors only mean
	// that this connection knows no deadlines.
	x := exchangeOf(r)
	by := x.deadline
	if by.IsZero() {
		by = time.Now().Add(bodyTimeout)
	}
	x.readBy(by)
	b, err := readUpTo(r.Body, max(0, r.ContentLength), maxBody+1)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, apierrors.NewTimeoutError("the request body did not arrive in time", 0)
	case err != nil:
		return nil, apierrors.NewBadRequest("the request body could not be read: " + err.Error())
	case len(b) > maxBody:
		return nil, tooLarge()
	}
	x.readBy(time.Time{})
	return b, nil
}

// bodyTimeout is how long a body may take.
const bodyTimeout = time.Minute

// unsupportedEncoding refuses compressed bodies: a small one can be a large one.
func unsupportedEncoding(have string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: fmt.Sprintf("the body of the request is encoded as %q: bodies are accepted as they are", have)}}
}

// readUpTo reads at most limit bytes; size is how many are announced.
func readUpTo(r io.Reader, size, limit int64) ([]byte, error) {
	// One byte more, to see the end without growing.
	b := bytes.NewBuffer(make([]byte, 0, min(size, 64<<10)+bytes.MinRead))
	_, err := b.ReadFrom(io.LimitReader(r, limit))
	return b.Bytes(), err
}

func tooLarge() error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxBody))
}

func mediaTypeOf(r *http.Request) (string, error) {
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return mediaJSON, nil
	}
	mt, _, err := mime.ParseMediaType(ct)
	if err != nil {
		mt = ct
	}
	switch mt {
	case mediaJSON, mediaYAML, mediaProtobuf, mediaCBOR:
		return mt, nil
	}
	return "", &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: fmt.Sprintf("the body of the request was in an unknown format - accepted media types include: %s, %s, %s, %s", mediaJSON, mediaYAML, mediaProtobuf, mediaCBOR)}}
}

// decodeBody reads an object of the given kind. Unknown fields are refused, warned about or ignored.
func decodeBody(media string, b []byte, gvk schema.GroupVersionKind, into any, fv fieldValidation, warn func(string)) error {
	if media == mediaProtobuf {
		return decodeProtobuf(b, gvk, into)
	}
	sent := b
	b, strict, err := jsonBody(media, b, gvk)
	if err != nil {
		return err
	}
	have, err := kindOf(b)
	if err != nil {
		return unrecognized(gvk, err, sent)
	}
	if err := checkKind(have, gvk); err != nil {
		return err
	}
	if err := checkQuantities(b, into); err != nil {
		return err
	}
	more, err := kjson.UnmarshalStrict(b, into)
	if err != nil {
		return cannotBeHandled(gvk, err)
	}
	return judge(append(strict, more...), gvk, fv, warn)
}

// jsonBody is a body as JSON, with what is wrong with it for the strict.
func jsonBody(media string, b []byte, gvk schema.GroupVersionKind) (j []byte, strict []error, err error) {
	switch media {
	case mediaCBOR:
		if j, err = cborToJSON(b); err != nil {
			return nil, nil, unrecognized(gvk, err, b)
		}
		return j, nil, nil
	case mediaYAML:
		if err := checkAliases(b); err != nil {
			return nil, nil, err
		}
		if j, err = yaml.YAMLToJSONStrict(b); err == nil {
			return j, nil, nil
		}
		// Duplicate keys are what the strict reading adds; what else is wrong is wrong without it too.
		lax, laxErr := yaml.YAMLToJSON(b)
		if laxErr != nil {
			return nil, nil, unrecognized(gvk, laxErr, b)
		}
		return lax, []error{err}, nil
	}
	return b, nil, nil
}

// judge applies the field validation to what strict decoding found in a body.
func judge(strict []error, gvk schema.GroupVersionKind, fv fieldValidation, warn func(string)) error {
	if err := strictly(strict, fv, warn); err != nil {
		return cannotBeHandled(gvk, err)
	}
	return nil
}

// strictly makes warnings or one error, or nothing, of what strict decoding found.
func strictly(strict []error, fv fieldValidation, warn func(string)) error {
	if len(strict) == 0 || fv == ignoreFields {
		return nil
	}
	if fv == warnFields {
		for _, e := range strict {
			for _, text := range yamlWarnings(e.Error()) {
				warn(text)
			}
		}
		return nil
	}
	texts := make([]string, len(strict))
	for i, e := range strict {
		texts[i] = e.Error()
	}
	return fmt.Errorf("strict decoding error: %s", strings.Join(texts, ", "))
}

// yamlWarnings takes apart what the reader of YAML tells as one.
func yamlWarnings(text string) []string {
	lines, several := strings.CutPrefix(strings.TrimPrefix(text, "error converting YAML to JSON: "), "yaml: unmarshal errors:\n")
	if !several {
		return []string{text}
	}
	out := strings.Split(lines, "\n")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

func decodeProtobuf(b []byte, gvk schema.GroupVersionKind, into any) error {
	have, raw, err := open(b)
	if err != nil {
		return unrecognized(gvk, err, b)
	}
	if err := checkKind(have, gvk); err != nil {
		return err
	}
	m, ok := into.(interface{ Unmarshal([]byte) error })
	if !ok {
		return apierrors.NewBadRequest(gvk.Kind + " cannot be sent as protobuf: use JSON")
	}
	if err := checkWireQuantities(raw, into); err != nil {
		return err
	}
	if err := m.Unmarshal(raw); err != nil {
		return cannotBeHandled(gvk, err)
	}
	return nil
}

func kindOf(b []byte) (schema.GroupVersionKind, error) {
	var m struct {
		APIVersion string `json:"apiVersion,omitempty"`
		Kind       string `json:"kind,omitempty"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(b, &m); err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("couldn't get version/kind; json parse error: %w", err)
	}
	gv, err := schema.ParseGroupVersion(m.APIVersion)
	return gv.WithKind(m.Kind), err
}

// checkKind accepts what is left out and refuses what is something else.
func checkKind(have, want schema.GroupVersionKind) error { return checkKindOf(have, want, known) }

// checkKindOf is checkKind with who knows which kinds there are.
func checkKindOf(have, want schema.GroupVersionKind, known func(schema.GroupVersionKind) bool) error {
	if have.Kind == "" {
		have.Kind = want.Kind
	}
	if have.Group == "" && have.Version == "" {
		have.Group, have.Version = want.Group, want.Version
	}
	if have == want {
		return nil
	}
	if !known(have) {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: no kind %q is registered for version %q in scheme \"pkg/runtime/scheme.go:111\"", have.Kind, have.Version, want.Kind, have.Kind, have.GroupVersion()))
	}
	if have.Kind == want.Kind {
		return wrongVersion(have, want)
	}
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: converting (%s.%s) to (%s.%s): unknown conversion", have.Kind, have.Version, want.Kind, have.Version, have.Kind, groupName(want.Group), want.Kind))
}

func wrongVersion(have, want schema.GroupVersionKind) error {
	return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", have.GroupVersion(), want.GroupVersion()))
}

func cannotBeHandled(gvk schema.GroupVersionKind, err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", gvk.Kind, gvk.Version, gvk.Kind, err))
}

func unrecognized(gvk schema.GroupVersionKind, err error, b []byte) error {
	// compat: the start of what is not JSON is shown in hexadecimal.
	head, more := b, ""
	if len(b) > 30 {
		head, more = b[:30], " ..."
	}
	text := fmt.Sprintf("%x", head) + more
	switch {
	case len(b) == 0:
		text = "<empty>"
	case b[0] == '{':
		text = string(head) + more
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", gvk.Kind, err, text))
}

// hasEmpties tells whether a body has empty lists or maps.
func hasEmpties(b []byte) bool {
	for i, c := range b {
		if c != '[' && c != '{' {
			continue
		}
		for _, next := range b[i+1:] {
			if next == c+2 {
				return true
			}
			if next != ' ' && next != '\n' && next != '\t' && next != '\r' {
				break
			}
		}
	}
	return false
}

// decodeDeleteOptions reads the body of a DELETE, which may be empty.
func decodeDeleteOptions(r *http.Request) (metav1.DeleteOptions, error) {
	var o metav1.DeleteOptions
	b, err := readBody(r)
	if err != nil {
		return o, err
	}
	if len(b) > 0 {
		media, err := mediaTypeOf(r)
		if err != nil {
			return o, err
		}
		gvk := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
		if media == mediaProtobuf {
			_, raw, err := open(b)
			if err == nil {
				err = o.Unmarshal(raw)
			}
			if err != nil {
				return o, cannotBeHandled(gvk, err)
			}
		} else {
			switch media {
			case mediaYAML:
				if err := checkAliases(b); err != nil {
					return o, err
				}
				b, err = yaml.YAMLToJSON(b)
			case mediaCBOR:
				b, err = cborToJSON(b)
			}
			if err != nil {
				return o, cannotBeHandled(gvk, err)
			}
			k, err := kindOf(b)
			if err != nil {
				return o, apierrors.NewBadRequest(err.Error())
			}
			if k.Kind != "" && k.Kind != "DeleteOptions" {
				return o, apierrors.NewBadRequest(fmt.Sprintf("no kind %q is registered for version %q in scheme %q", k.Kind, k.GroupVersion(), "pkg/api/legacyscheme/scheme.go:30"))
			}
			if err := kjson.UnmarshalCaseSensitivePreserveInts(b, &o); err != nil {
				return o, unrecognized(gvk, err, b)
			}
		}
	}
	// compat: the query counts where there is no body.
	if len(b) == 0 {
		if err := deleteQuery(r, &o); err != nil {
			return o, err
		}
	}
	o.DryRun = append(o.DryRun, r.URL.Query()["dryRun"]...)
	if errs := metav1validation.ValidateDeleteOptions(&o); len(errs) > 0 {
		return o, apierrors.NewInvalid(optionsKind("DeleteOptions"), "", errs)
	}
	return o, nil
}

func unmarshalUnstructured(b []byte, u *unstructured.Unstructured) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(b, &u.Object)
}

// unmarshalStrict tells of repeated fields as well.
func unmarshalStrict(b []byte, u *unstructured.Unstructured) (strict []error, err error) {
	return kjson.UnmarshalStrict(b, &u.Object)
}

// known tells whether any group version has a kind of that name.
func known(gvk schema.GroupVersionKind) bool {
	switch gvk.Kind {
	case "Status", "DeleteOptions", "ListOptions", "WatchEvent", "List":
		return true
	}
	return all.ByGVK(gvk) != nil || all.ByGVK(gvk.GroupVersion().WithKind(strings.TrimSuffix(gvk.Kind, "List"))) != nil
}
