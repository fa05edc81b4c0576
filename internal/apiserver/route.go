package apiserver

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// stageRoute hands the request to its verb.
func (s *Server) stageRoute(w http.ResponseWriter, r *http.Request, x *exchange) error {
	if !x.resourceRequest {
		return s.serveOther(w, r, x)
	}
	if s.elsewhere(w, r, x, x.group, x.info.version) {
		return nil
	}
	res := s.row(x.gvr())
	if v := s.version(x.gvr()); res == nil && v != nil {
		res, x.version = v.Resource, v
		if v.Deprecated != "" {
			x.warn(v.Deprecated)
		}
		if err := x.renameFields(r); err != nil {
			return err
		}
	}
	if res == nil {
		return nothingAt(r.URL.Path)
	}
	x.row = res
	if err := x.placed(r, res); err != nil {
		return err
	}
	if res.Deprecated != "" {
		x.warn(res.Deprecated)
	}
	if connectVerb(res, x.sub) {
		return s.serveConnect(w, r, x, res)
	}
	var err error
	forms := objectForms
	if res.Virtual && res.NewList == nil {
		forms = nil // questions and answers have no columns
	}
	if x.accept, err = negotiate(r, forms, res.Custom == nil || x.sub == "scale"); err != nil {
		return err
	}
	if x.sub != "" {
		return s.serveSubresource(w, r, x, res)
	}
	if res.Virtual {
		return s.serveVirtual(w, r, x, res)
	}
	return s.serveVerb(w, r, x, res)
}

func (s *Server) serveVerb(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	switch x.verb {
	case "get":
		return s.serveGet(w, r, x, res)
	case "list":
		return s.serveList(w, r, x, res)
	case "watch":
		return s.serveWatch(w, r, x, res)
	case "create":
		if x.name != "" {
			return notAllowed(x)
		}
		return s.serveCreate(w, r, x, res)
	case "update":
		return s.serveUpdate(w, r, x, res)
	case "patch":
		return s.servePatch(w, r, x, res)
	case "delete":
		return s.serveDelete(w, r, x, res)
	case "deletecollection":
		if !slices.Contains(res.Verbs, x.verb) {
			return notAllowed(x)
		}
		return s.serveDeleteCollection(w, r, x, res)
	}
	return notAllowed(x)
}

// serveSubresource answers what is under an object, connections apart.
func (s *Server) serveSubresource(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	switch {
	case x.sub == "scale" && res.Scale != nil:
		return s.serveScale(w, r, x, res)
	case writable(res, x.sub):
		if sub := subresourceOf(res, x.sub); sub != nil && !slices.Contains(sub.Verbs, x.verb) {
			return notAllowed(x)
		}
		switch x.verb {
		case "get":
			return s.serveGet(w, r, x, res)
		case "update":
			return s.serveUpdate(w, r, x, res)
		case "patch":
			return s.servePatch(w, r, x, res)
		}
		return notAllowed(x)
	}
	var serve func(http.ResponseWriter, *http.Request, *exchange, *api.Resource) error
	switch x.resource + "/" + x.sub {
	case "deployments/rollback":
		serve = s.serveRollback
	case "pods/binding":
		serve = s.serveBinding
	case "pods/eviction":
		serve = s.serveEviction
	case "serviceaccounts/token":
		serve = s.serveToken
	}
	switch {
	case serve == nil || res.Custom != nil:
		return pathNotFound()
	case x.verb != "create":
		return notAllowed(x)
	}
	return serve(w, r, x, res)
}

// targetOf is what the request writes.
func (x *exchange) targetOf(r *http.Request, res *api.Resource) (target, fieldValidation, error) {
	q := r.URL.Query()
	t := target{res: res, version: x.version, sub: x.sub, ns: x.ns, name: x.name, user: x.user, warn: x.warn}
	if !res.Namespaced {
		t.ns = ""
	}
	t.dryRun = len(q["dryRun"]) > 0
	t.manager = fieldManagerOf(q.Get("fieldManager"), r.UserAgent())
	return t, fieldValidationOf(q.Get("fieldValidation")), checkOptions(r, x.verb, q)
}

func optionsKind(kind string) schema.GroupKind {
	return schema.GroupKind{Group: metav1.GroupName, Kind: kind}
}

// checkOptions refuses options that a write does not know.
func checkOptions(r *http.Request, verb string, q url.Values) error {
	manager, dryRun, fv := q.Get("fieldManager"), q["dryRun"], q.Get("fieldValidation")
	var errs field.ErrorList
	kind := ""
	switch verb {
	case "create":
		kind, errs = "CreateOptions", metav1validation.ValidateCreateOptions(&metav1.CreateOptions{FieldManager: manager, DryRun: dryRun, FieldValidation: fv})
	case "update":
		kind, errs = "UpdateOptions", metav1validation.ValidateUpdateOptions(&metav1.UpdateOptions{FieldManager: manager, DryRun: dryRun, FieldValidation: fv})
	case "patch":
		o := metav1.PatchOptions{FieldManager: manager, DryRun: dryRun, FieldValidation: fv}
		if q.Has("force") {
			force, err := boolParam(q, "force")
			if err != nil {
				return err
			}
			o.Force = &force
		}
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		kind, errs = "PatchOptions", metav1validation.ValidatePatchOptions(&o, types.PatchType(media))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(optionsKind(kind), "", errs)
	}
	return nil
}

func (s *Server) serveGet(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	ns := x.ns
	if !res.Namespaced {
		ns = ""
	}
	q := r.URL.Query()
	if q.Get("export") == "true" {
		return apierrors.NewBadRequest("the export parameter, deprecated since v1.14, is no longer supported")
	}
	e, err := s.read(r.Context(), res, ns, x.name, q)
	if err != nil {
		return x.named(err)
	}
	s.writeEntry(w, r, x, http.StatusOK, e)
	return nil
}

func (s *Server) serveCreate(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	o := res.New()
	if err := s.readObject(r, x, res.GVK, o, fv); err != nil {
		return err
	}
	if res.GVR.Resource == "namespaces" {
		t.ns = ""
	}
	t.empties = x.empties
	e, err := s.create(r.Context(), t, o)
	if err != nil {
		return err
	}
	s.writeEntry(w, r, x, http.StatusCreated, e)
	return nil
}

func (s *Server) readObject(r *http.Request, x *exchange, gvk schema.GroupVersionKind, into any, fv fieldValidation) error {
	media, err := mediaTypeOf(r)
	if err != nil {
		return err
	}
	b, err := readBody(r)
	if err != nil {
		return err
	}
	x.empties = media != mediaProtobuf && hasEmpties(b)
	if u, ok := into.(*unstructured.Unstructured); ok {
		return decodeCustom(x.row, media, b, u, fv, x.warn)
	}
	if v := x.version; v != nil && gvk == v.Resource.GVK {
		return decodeVersion(v, media, b, into, fv, x.warn)
	}
	if evicts(gvk, media, b) {
		gvk.Version = "v1beta1"
	}
	return decodeBody(media, b, gvk, into, fv, x.warn)
}

func (s *Server) serveUpdate(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	o := res.New()
	if err := s.readObject(r, x, res.GVK, o, fv); err != nil {
		return err
	}
	t.empties = x.empties
	if err := matchURL(&t, o); err != nil {
		return err
	}
	if res.CreateOnUpdate && x.sub == "" && s.cache(res).get(t.key()) == nil {
		e, err := s.create(r.Context(), t, o)
		if err != nil {
			return err
		}
		s.writeEntry(w, r, x, http.StatusCreated, e)
		return nil
	}
	if rv := o.GetResourceVersion(); (rv == "" || rv == "0") && res.RequireVersion && s.cache(res).get(t.key()) != nil {
		return needsVersion(&t)
	}
	e, err := s.update(r.Context(), t, o.GetUID(), func(api.Object) (api.Object, error) {
		if rv := o.GetResourceVersion(); rv != "" && rv != "0" {
			// There is one attempt only: what was read may be used up.
			return o, nil
		}
		return o.DeepCopyObject().(api.Object), nil
	})
	if err != nil {
		return err
	}
	s.writeEntry(w, r, x, http.StatusOK, e)
	return nil
}

// needsVersion refuses an update that names no revision. compat: by the name of the resource.
func needsVersion(t *target) error {
	gr := t.groupResource()
	return apierrors.NewInvalid(schema.GroupKind{Group: gr.Group, Kind: gr.Resource}, t.name, field.ErrorList{
		field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update")})
}

// matchURL checks that the object is the one that the URL names.
func matchURL(t *target, o api.Object) error {
	if t.res.Namespaced {
		if o.GetNamespace() == "" {
			o.SetNamespace(t.ns)
		}
		if o.GetNamespace() != t.ns {
			return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
	}
	return matchName(o.GetName(), t.name)
}

// matchName checks the name that an object has for itself.
func matchName(name, url string) error {
	switch name {
	case url:
		return nil
	case "":
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", url))
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", name, url))
}

func (s *Server) servePatch(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	pt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return unsupportedPatch(res)
	}
	if !isApply(pt) && pt != string(types.JSONPatchType) && pt != string(types.MergePatchType) && (pt != string(types.StrategicMergePatchType) || res.Custom != nil) {
		return unsupportedPatch(res)
	}
	force, err := boolParam(r.URL.Query(), "force")
	if err != nil {
		return err
	}
	b, err := readBody(r)
	if err != nil {
		return err
	}
	code := http.StatusOK
	var e *entry
	if pt == string(types.ApplyCBORPatchType) {
		if b, err = cborToJSON(b); err != nil {
			return apierrors.NewBadRequest("error decoding CBOR: " + err.Error())
		}
	}
	t.empties = hasEmpties(b)
	if isApply(pt) {
		created := false
		e, created, err = s.apply(r.Context(), t, b, force, fv)
		if created {
			code = http.StatusCreated
		}
	} else {
		e, err = s.patch(r.Context(), t, types.PatchType(pt), b, fv)
	}
	if err != nil {
		return err
	}
	if x.sub == "scale" {
		s.writeScale(w, r, x, code, e)
		return nil
	}
	s.writeEntry(w, r, x, code, e)
	return nil
}

func deleteQuery(r *http.Request, o *metav1.DeleteOptions) error {
	q := r.URL.Query()
	if q.Has("gracePeriodSeconds") {
		n, err := strconv.ParseInt(q.Get("gracePeriodSeconds"), 10, 64)
		if err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		o.GracePeriodSeconds = &n
	}
	if q.Has("propagationPolicy") {
		p := metav1.DeletionPropagation(q.Get("propagationPolicy"))
		o.PropagationPolicy = &p
	}
	if q.Has("uid") || q.Has("resourceVersion") {
		o.Preconditions = &metav1.Preconditions{}
	}
	if q.Has("uid") {
		uid := types.UID(q.Get("uid"))
		o.Preconditions.UID = &uid
	}
	if q.Has("resourceVersion") {
		rv := q.Get("resourceVersion")
		o.Preconditions.ResourceVersion = &rv
	}
	if q.Has("orphanDependents") {
		b, err := boolParam(q, "orphanDependents")
		if err != nil {
			return err
		}
		o.OrphanDependents = &b
	}
	return nil
}

func (s *Server) serveDelete(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, _, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	o, err := decodeDeleteOptions(r)
	if err != nil {
		return err
	}
	t.dryRun = t.dryRun || len(o.DryRun) > 0
	if res.GVK.Kind == "Job" && res.Orphans && o.PropagationPolicy == nil && o.OrphanDependents == nil {
		t.warn("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning")
	}
	e, gone, err := s.remove(r.Context(), t, o)
	if err != nil {
		return err
	}
	if gone && !answersDeleted(res) {
		s.writeSuccess(w, r, x, e)
		return nil
	}
	code := http.StatusOK
	if !gone && o.OrphanDependents != nil && !*o.OrphanDependents {
		code = http.StatusAccepted // compat: only who asks in the old way hears that it takes its time
	}
	s.writeEntry(w, r, x, code, e)
	return nil
}

func (s *Server) serveDeleteCollection(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, _, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	o, err := decodeDeleteOptions(r)
	if err != nil {
		return err
	}
	t.dryRun = t.dryRun || len(o.DryRun) > 0
	lo, err := parseListOptions(res, t.ns, "", r.URL.Query())
	if err != nil {
		return err
	}
	p, err := s.list(r.Context(), res, lo)
	if err != nil {
		return err
	}
	for _, e := range p.entries {
		t.ns, t.name = e.object().GetNamespace(), e.object().GetName()
		if _, _, err := s.remove(r.Context(), t, o); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	x.accept.as = ""
	return s.writeListOf(w, r, x, res, p)
}

func (s *Server) writeListOf(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource, p *page) error {
	meta := metav1.ListMeta{ResourceVersion: revText(p.rev)}
	if x.version != nil {
		return s.writeVersionList(w, r, x, meta, p.entries)
	}
	if x.accept.media == mediaProtobuf && res.Type != nil {
		s.writeProtoList(w, x, res, meta, p.entries)
		return nil
	}
	return s.writeJSONList(w, r, x, res, meta, p.entries)
}

func (s *Server) serveScale(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	switch x.verb {
	case "get":
		e := s.cache(res).get(t.key())
		if e == nil {
			return t.notFound()
		}
		if check := res.Scale.Check; check != nil {
			if err := check(e.object()); err != nil {
				return err
			}
		}
		s.writeScale(w, r, x, http.StatusOK, e)
		return nil
	case "patch":
		return s.servePatch(w, r, x, res)
	case "update":
		sc, err := s.readScale(r, x, fv)
		if err != nil {
			return err
		}
		if sc.Namespace != "" && sc.Namespace != x.ns {
			return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
		if err := matchName(sc.Name, x.name); err != nil {
			return err
		}
		e, err := s.updateScale(r.Context(), t, sc.UID, func(have *scaleObject) error {
			have.Spec.Replicas = sc.Spec.Replicas
			if sc.ResourceVersion != "" {
				have.ResourceVersion = sc.ResourceVersion
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.writeScale(w, r, x, http.StatusOK, e)
		return nil
	}
	return notAllowed(x)
}

func (s *Server) serveBinding(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	var b corev1.Binding
	if err := s.readObject(r, x, corev1.SchemeGroupVersion.WithKind("Binding"), &b, fv); err != nil {
		return err
	}
	if b.Namespace != "" && b.Namespace != x.ns {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if b.Name != x.name {
		return apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if _, err := s.bind(r.Context(), t, &b); err != nil {
		return err
	}
	s.writeCreated(w, r, x)
	return nil
}

// serveEviction deletes the pod; disruption budgets have their say in evict.
func (s *Server) serveEviction(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	var ev policyv1.Eviction
	if err := s.readObject(r, x, policyv1.SchemeGroupVersion.WithKind("Eviction"), &ev, fv); err != nil {
		return err
	}
	if ev.Name != x.name {
		return apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	if ev.Namespace != "" && ev.Namespace != x.ns {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	var o metav1.DeleteOptions
	if ev.DeleteOptions != nil {
		o = *ev.DeleteOptions
	}
	if errs := metav1validation.ValidateDeleteOptions(&o); len(errs) > 0 {
		return apierrors.NewInvalid(optionsKind("DeleteOptions"), "", errs)
	}
	t.dryRun = t.dryRun || len(o.DryRun) > 0
	t.sub = ""
	if err := s.evict(r.Context(), t, o); err != nil {
		return err
	}
	s.writeCreated(w, r, x)
	return nil
}

func (s *Server) writeCreated(w http.ResponseWriter, r *http.Request, x *exchange) {
	s.writeObject(w, r, x, http.StatusCreated, &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: http.StatusCreated})
}

// serveOther answers what is not about a resource.
func (s *Server) serveOther(w http.ResponseWriter, r *http.Request, x *exchange) error {
	p := strings.TrimSuffix(x.path, "/")
	switch {
	case p == "/api" || p == "/apis" || strings.HasPrefix(p, "/api/") || strings.HasPrefix(p, "/apis/"):
		if s.discoveryElsewhere(w, r, x, p) {
			return nil
		}
		return s.serveDiscovery(w, r, x, p)
	case p == "/openapi/v3" || strings.HasPrefix(p, "/openapi/"):
		return s.serveOpenAPI(w, r, x, p)
	case p == "/metrics":
		s.serveMetrics(w, r)
		return nil
	case p == "/metrics/slis":
		s.serveSLIs(w, r)
		return nil
	case p == "/debug" || strings.HasPrefix(p, "/debug/"):
		return s.serveDebug(w, r, p)
	case p == "/skiff/revisions":
		return s.serveRevisions(w, r, x)
	case p == "/version":
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return notAllowed(x)
		}
		return writeRaw(w, s.Version)
	case p == "/healthz" || p == "/livez" || p == "/readyz" || strings.HasPrefix(p, "/healthz/") || strings.HasPrefix(p, "/livez/") || strings.HasPrefix(p, "/readyz/"):
		return s.serveHealth(w, r, p)
	case p == "/"+openIDConfiguration || p == "/"+openIDKeys:
		return s.serveOpenID(w, p)
	case p == "" || p == "/index.html":
		return writeRaw(w, metav1.RootPaths{Paths: s.paths()})
	}
	return nothingAt(p)
}
