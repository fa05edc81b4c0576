package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// writeEntry answers with a stored object, from its shared encodings.
func (s *Server) writeEntry(w http.ResponseWriter, r *http.Request, x *exchange, code int, e *entry) {
	a := x.accept
	if x.version != nil && a.as == "" {
		o, err := x.version.Show(e.object())
		if err != nil {
			s.writeError(w, r, x, apierrors.NewInternalError(err))
			return
		}
		s.writeObject(w, r, x, code, o)
		return
	}
	switch a.as {
	case "Table":
		t, err := tableOf(e.res, []*entry{e}, e.object().GetResourceVersion(), a, includeObject(r), true)
		if err == nil {
			err = x.showRows(t, []*entry{e}, includeObject(r))
		}
		if err != nil {
			s.writeError(w, r, x, err)
			return
		}
		s.writeObject(w, r, x, code, t)
		return
	case "PartialObjectMetadata":
		s.writeObject(w, r, x, code, partialOf(e.object(), a))
		return
	case "PartialObjectMetadataList":
		s.writeError(w, r, x, formless("you requested PartialObjectMetadataList, but the requested object is not a list ("+internalName(e.res, e.res.GVK.Kind)+")"))
		return
	}
	if a.media == mediaProtobuf && e.raw != nil {
		head, size := protoHead(e.res.GVK, len(e.raw)+len(e.suffix))
		s.headers(w, x, mediaProtobuf)
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.WriteHeader(code)
		// The writer gathers: nothing is put together here.
		w.Write(head)
		w.Write(e.raw)
		w.Write(e.suffix)
		w.Write(protoTail)
		return
	}
	if a.media == mediaCBOR {
		s.writeObject(w, r, x, code, e.object())
		return
	}
	b, err := e.JSON()
	if err != nil {
		s.writeError(w, r, x, apierrors.NewInternalError(err))
		return
	}
	s.writeJSON(w, x, code, b)
}

// protoTail ends a protobuf envelope: contentEncoding and contentType, empty.
var protoTail = []byte{0x1a, 0, 0x22, 0}

// protoHead is the start of a protobuf envelope whose message has size bytes, and the size of the whole.
func protoHead(gvk schema.GroupVersionKind, size int) ([]byte, int) {
	u := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind}}
	meta, _ := u.TypeMeta.Marshal()
	b := append([]byte{}, protoMagic...)
	b = append(b, 0x0a, byte(len(meta)))
	b = append(b, meta...)
	b = append(b, 0x12)
	for v := uint64(size); ; v >>= 7 {
		if v < 0x80 {
			b = append(b, byte(v))
			break
		}
		b = append(b, byte(v)|0x80)
	}
	return b, len(b) + size + 4
}

// writeObject answers with an object that is made for this answer.
func (s *Server) writeObject(w http.ResponseWriter, r *http.Request, x *exchange, code int, o any) {
	if m, ok := o.(protoMessage); ok && x.accept.media == mediaProtobuf {
		gvk := o.(runtime.Object).GetObjectKind().GroupVersionKind()
		b, _, err := envelope(gvk, m)
		if err != nil {
			s.writeError(w, r, x, apierrors.NewInternalError(err))
			return
		}
		s.headers(w, x, mediaProtobuf)
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(code)
		w.Write(b)
		return
	}
	if x.accept.media == mediaCBOR {
		b, err := encodeCBOR(o)
		if err != nil {
			s.writeError(w, r, x, apierrors.NewInternalError(err))
			return
		}
		s.headers(w, x, mediaCBOR)
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(code)
		w.Write(b)
		return
	}
	b, err := marshalJSON(o)
	if err != nil {
		s.writeError(w, r, x, apierrors.NewInternalError(err))
		return
	}
	s.writeJSON(w, x, code, b)
}

func (s *Server) writeJSON(w http.ResponseWriter, x *exchange, code int, b []byte) {
	media := mediaJSON
	switch {
	case x.accept.media == mediaYAML:
		y, err := yaml.JSONToYAML(b)
		if err == nil {
			media, b = mediaYAML, y
		}
	case x.accept.pretty:
		var out bytes.Buffer
		if json.Indent(&out, b, "", "  ") == nil {
			b = append(out.Bytes(), '\n')
		}
	default:
		b = append(b[:len(b):len(b)], '\n')
	}
	s.headers(w, x, media)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(code)
	w.Write(b)
}

// writeRaw answers with an object as people read it, whatever is asked for.
func writeRaw(w http.ResponseWriter, o any) error {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
	return nil
}

// headers sets the content type and the warnings.
func (s *Server) headers(w http.ResponseWriter, x *exchange, media string) {
	w.Header().Set("Content-Type", media)
	for _, v := range warningHeaders(x.warnings) {
		w.Header().Add("Warning", v)
	}
}

// writeError answers with the status that an error carries.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, x *exchange, err error) {
	settle(r)
	if errors.Is(err, errNoPage) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if x.accept.media == "" || x.accept.as != "" {
		// Refused before it was known what form the answer would have had, or in a form that errors do not have.
		// compat: who can read no other gets it as for people.
		var unfit error
		if x.accept, unfit = negotiate(r, nil, true); unfit != nil {
			x.accept = accepted{media: mediaJSON, pretty: true}
		}
	}
	var carried apierrors.APIStatus
	status := metav1.Status{}
	if errors.As(err, &carried) {
		status = carried.Status()
	} else {
		s.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		status = apierrors.NewInternalError(err).ErrStatus
	}
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if status.Code == 0 {
		status.Code = http.StatusInternalServerError
	}
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	if status.Code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="kubernetes-master"`)
	}
	x.accept.as = ""
	if x.accept.media == mediaProtobuf {
		b, _, err := envelope(schema.GroupVersionKind{Version: "v1", Kind: "Status"}, &status)
		if err == nil {
			s.headers(w, x, mediaProtobuf)
			w.WriteHeader(int(status.Code))
			w.Write(b)
			return
		}
	}
	if x.accept.media == mediaCBOR {
		if b, err := encodeCBOR(&status); err == nil {
			s.headers(w, x, mediaCBOR)
			w.WriteHeader(int(status.Code))
			w.Write(b)
			return
		}
	}
	b, merr := marshalJSON(&status)
	if merr != nil {
		http.Error(w, merr.Error(), http.StatusInternalServerError)
		return
	}
	s.writeJSON(w, x, int(status.Code), b)
}

// writeSuccess is the Status that answers a deletion.
func (s *Server) writeSuccess(w http.ResponseWriter, r *http.Request, x *exchange, e *entry) {
	s.writeObject(w, r, x, http.StatusOK, &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: e.object().GetName(), Group: x.group, Kind: e.res.GVR.Resource, UID: e.object().GetUID()},
	})
}
