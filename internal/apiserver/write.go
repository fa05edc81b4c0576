package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
	"github.com/skiff-k8s/skiff/internal/apiserver/admission"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/store"
)

// target is what a write is about.
type target struct {
	res *api.Resource
	// version is the one that the request speaks; nil: the stored one.
	version *api.Version
	sub     string
	ns      string
	name    string
	user    *auth.User
	dryRun  bool
	warn    func(string) // receives texts for Warning headers; never nil
	// manager is who owns what this write sets; via is the subresource that the
	// write came through where it differs from sub (scale is written as the object).
	manager string
	via     string
	// applied says that managedFields are complete: server-side apply has made them.
	applied bool
	// empties says that the request has empty lists or maps, which protobuf does not tell from none.
	empties bool
	// adjust has the last word on an updated object before admission.
	adjust func(next api.Object)
}

func (t *target) key() string { return t.res.Key(t.ns, t.name) }

func (t *target) notFound() error { return apierrors.NewNotFound(t.groupResource(), t.name) }

// attempts bounds how often a write that asks for no particular revision is tried anew.
const attempts = 30

// create stores a new object, which is the server's from here on.
func (s *Server) create(ctx context.Context, t target, o api.Object) (*entry, error) {
	if err := s.prepareCreate(&t, o); err != nil {
		return nil, err
	}
	generated := o.GetName() == "" && o.GetGenerateName() != ""
	if !generated {
		return s.createNamed(ctx, t, o)
	}
	base := o.GetGenerateName()
	// Long bases are cut so that name and suffix fit.
	if len(base) > 58 {
		base = base[:58]
	}
	for i := 0; ; i++ {
		c := o
		if i < 7 {
			c = o.DeepCopyObject().(api.Object)
		}
		c.SetName(base + rand.String(5))
		t.name = c.GetName()
		e, err := s.createNamed(ctx, t, c)
		if i < 7 && apierrors.IsAlreadyExists(err) {
			continue
		}
		if apierrors.IsAlreadyExists(err) {
			return nil, apierrors.NewGenerateNameConflict(t.groupResource(), t.name, 1)
		}
		return e, err
	}
}

func (s *Server) prepareCreate(t *target, o api.Object) error {
	r := t.res
	if r.Namespaced {
		if o.GetNamespace() == "" {
			o.SetNamespace(t.ns)
		}
		if t.ns == "" {
			t.ns = o.GetNamespace()
		}
		if o.GetNamespace() != t.ns {
			return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
		if t.ns == "" {
			return apierrors.NewBadRequest("namespace is required")
		}
	} else {
		o.SetNamespace("")
	}
	// compat: a dry run never comes to the place where Kubernetes looks at this.
	if rv := o.GetResourceVersion(); rv != "" && rv != "0" && !t.dryRun {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	o.SetUID(uuid.NewUUID())
	o.SetCreationTimestamp(metav1.Time{Time: s.now()})
	o.SetDeletionTimestamp(nil)
	o.SetDeletionGracePeriodSeconds(nil)
	o.SetSelfLink("")
	if r.SpecChanged != nil {
		o.SetGeneration(1)
	}
	dedupOwners(t, o)
	return nil
}

func (s *Server) createNamed(ctx context.Context, t target, o api.Object) (*entry, error) {
	r := t.res
	t.name = o.GetName()
	attrs := admission.Attributes{Operation: admission.Create, Resource: r, Namespace: t.ns, Name: t.name, User: t.user, Object: o, DryRun: t.dryRun, Warn: t.warn}
	if r.Default != nil {
		r.Default(o)
	}
	s.track(&t, o, nil) // what the server sets from here on is nobody's
	r.Prepare(o)
	for range attempts {
		pins, err := s.admit(ctx, &attrs)
		if err != nil {
			return nil, err
		}
		if r.Custom != nil {
			pin, err := s.pinDefinition(&t)
			if err != nil {
				return nil, err
			}
			pins = append(pins, pin)
		}
		if _, ok := o.(*corev1.Pod); ok {
			r.Prepare(o) // the status follows what admission set
		}
		if err := s.validateCreate(t, o); err != nil {
			return nil, err
		}
		if err := s.admission.Validate(ctx, &attrs); err != nil {
			return nil, err
		}
		if have := s.cache(r).get(t.key()); have != nil {
			err := apierrors.NewAlreadyExists(t.groupResource(), t.name)
			if have.object().GetDeletionTimestamp() != nil {
				err.ErrStatus.Message = "object is being deleted: " + err.ErrStatus.Message
			}
			return nil, err
		}
		e, err := s.insert(ctx, t, store.Txn{If: append(pins, store.Compare{Key: t.key()}), Lazy: r.Lazy}, o)
		if !errors.Is(err, store.ErrConflict) {
			return e, err
		}
		// The namespace changed in between, or a key was taken: look again.
	}
	return nil, s.tooBusy(t)
}

// insert writes a new object with what has to be allocated for it.
func (s *Server) insert(ctx context.Context, t target, txn store.Txn, o api.Object) (*entry, error) {
	release, err := s.allocate(t, &txn, o, nil)
	if err != nil {
		return nil, err
	}
	defer release()
	charged, err := s.charge(ctx, t, &txn, o, nil)
	if err != nil {
		return nil, err
	}
	defer charged()
	e, err := newEntry(t.res, t.key(), o)
	if err != nil {
		return nil, unwritable(err)
	}
	if t.empties {
		e.decodeAnew()
	}
	if t.dryRun {
		return e, nil
	}
	return s.commit(ctx, txn, e)
}

// unwritable is why an object has no stored form.
func unwritable(err error) error {
	var carried apierrors.APIStatus
	if errors.As(err, &carried) {
		return err
	}
	return apierrors.NewInternalError(err)
}

func (s *Server) tooBusy(t target) error {
	return apierrors.NewServerTimeout(t.groupResource(), "write", 1)
}

// admit runs the mutating half of the admission plugins, and pins the namespace that was found good.
func (s *Server) admit(ctx context.Context, a *admission.Attributes) ([]store.Compare, error) {
	var pins []store.Compare
	if err := s.admission.Admit(ctx, a); err != nil {
		return nil, err
	}
	if a.Operation == admission.Create && a.Pin != nil {
		rev, _ := strconv.ParseInt(a.Pin.GetResourceVersion(), 10, 64)
		pins = append(pins, store.Compare{Key: namespaceRow().Key("", a.Pin.GetName()), Mod: rev})
	}
	return pins, nil
}

var metadataPath = field.NewPath("metadata")

func (s *Server) validateCreate(t target, o api.Object) error {
	r := t.res
	errs := meta.Metadata(o, r.Namespaced, r.Name, metadataPath)
	if r.Validate != nil {
		errs = append(errs, r.Validate(o)...)
	}
	errs = t.version.Judge(errs, o, nil)
	if len(errs) > 0 {
		return apierrors.NewInvalid(t.groupKind(), o.GetName(), errs)
	}
	if r.Warn != nil {
		for _, w := range r.Warn(o, nil) {
			t.warn(w)
		}
	}
	return nil
}

// commit writes the entry with the transaction and waits until the caches have it.
func (s *Server) commit(ctx context.Context, txn store.Txn, e *entry) (*entry, error) {
	if len(e.value) > maxObjectSize {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxObjectSize))
	}
	txn.Then = append(txn.Then, store.Op{Key: e.key, Value: e.value, Ref: e})
	rev, err := s.feed.commit(ctx, txn)
	if errors.Is(err, store.ErrConflict) {
		return nil, err
	}
	if err != nil {
		return nil, s.storeError(err)
	}
	if e.rev == 0 {
		e.publish(rev) // its kind changed meanwhile: no cache took it
	}
	return e, nil
}

// maxObjectSize is what upstream's etcd admits.
const maxObjectSize = 1536 * 1024

// change computes the object that an update wants from the current one (shared:
// not to be changed). It may return a status error to refuse.
type changeFunc func(old api.Object) (api.Object, error)

// update replaces an object. Without a resourceVersion in what change returns it
// is tried anew when somebody was faster.
func (s *Server) update(ctx context.Context, t target, uid types.UID, change changeFunc) (*entry, error) {
	for range attempts {
		cur := s.cache(t.res).get(t.key())
		if cur == nil {
			return nil, t.notFound()
		}
		if uid != "" && uid != cur.object().GetUID() {
			return nil, uidConflict(&t, uid, cur.object().GetUID())
		}
		next, err := change(cur.object())
		if err != nil {
			return nil, err
		}
		rv := next.GetResourceVersion()
		if rv != "" {
			if _, err := strconv.ParseUint(rv, 10, 64); err != nil {
				return nil, wrong(err) // compat: what cannot be a revision is the server's error
			}
		}
		if rv != "" && rv != "0" && rv != cur.object().GetResourceVersion() {
			return nil, apierrors.NewConflict(t.groupResource(), t.name, errors.New(modifiedMessage))
		}
		if next.GetUID() != "" && next.GetUID() != cur.object().GetUID() {
			// It is a condition of an update, and what a patch may not change.
			return nil, apierrors.NewInvalid(t.groupKind(), t.name, field.ErrorList{
				field.Invalid(field.NewPath("metadata", "uid"), next.GetUID(), "field is immutable")})
		}
		e, err := s.replace(ctx, t, cur, next)
		if errors.Is(err, store.ErrConflict) {
			if rv != "" && rv != "0" && s.cache(t.res).get(t.key()) != cur {
				return nil, apierrors.NewConflict(t.groupResource(), t.name, errors.New(modifiedMessage))
			}
			continue
		}
		return e, err
	}
	return nil, s.tooBusy(t)
}

const modifiedMessage = "the object has been modified; please apply your changes to the latest version and try again"

func uidConflict(t *target, want, have types.UID) error {
	if t.via == "scale" {
		gr := t.groupResource()
		gr.Resource += "/scale"
		return apierrors.NewConflict(gr, t.name, fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", want, have))
	}
	return notThatOne(t, "UID", want, have)
}

// notThatOne is the conflict of a write that is about another state of the object. compat: in the words of a store.
func notThatOne(t *target, what string, want, have any) error {
	return apierrors.NewConflict(t.groupResource(), t.name, fmt.Errorf("StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: %[2]s in precondition: %[3]v, %[2]s in object meta: %[4]v",
		t.key(), what, want, have))
}

// wrong is what a request gets for something that Kubernetes has no words of its own for.
func wrong(err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}}
}

// replace writes next over cur: what a client may not change is carried over,
// then come admission and validation.
func (s *Server) replace(ctx context.Context, t target, cur *entry, next api.Object) (*entry, error) {
	r, old := t.res, cur.object()
	next = s.prepareUpdate(&t, next, old)
	next.SetResourceVersion(old.GetResourceVersion())
	s.track(&t, next, old)
	if t.adjust != nil {
		t.adjust(next)
	}
	attrs := admission.Attributes{Operation: admission.Update, Resource: r, Subresource: t.sub, Namespace: t.ns, Name: t.name, User: t.user, Object: next, Old: old, DryRun: t.dryRun, Warn: t.warn}
	if _, err := s.admit(ctx, &attrs); err != nil {
		return nil, err
	}
	if err := s.validateUpdate(t, next, old); err != nil {
		return nil, err
	}
	if err := s.admission.Validate(ctx, &attrs); err != nil {
		return nil, err
	}
	if released(next) {
		return s.removed(ctx, t, cur, next)
	}
	txn := store.Txn{If: []store.Compare{{Key: cur.key, Mod: cur.rev}}, Lazy: r.Lazy}
	release, err := s.allocate(t, &txn, next, cur)
	if err != nil {
		return nil, err
	}
	defer release()
	// Nothing changed: no write, no new revision.
	probe, err := newEntry(r, cur.key, next)
	if err != nil {
		return nil, unwritable(err)
	}
	if t.empties {
		probe.decodeAnew()
	}
	if bytes.Equal(probe.value, cur.value) || s.onlyTimes(&t, probe, cur) {
		return cur, nil
	}
	charged, err := s.charge(ctx, t, &txn, next, old)
	if err != nil {
		return nil, err
	}
	defer charged()
	if t.dryRun {
		probe.publish(cur.rev)
		return probe, nil
	}
	return s.commit(ctx, txn, probe)
}

// prepareUpdate returns what would be stored: the part that this (sub)resource owns from next, the rest from old.
func (s *Server) prepareUpdate(t *target, next, old api.Object) api.Object {
	r := t.res
	if t.sub == "status" {
		merged := statusOver(r, old, next)
		if !r.Status.Only {
			merged.SetLabels(next.GetLabels())
			merged.SetAnnotations(next.GetAnnotations())
			merged.SetFinalizers(next.GetFinalizers())
		}
		s.carryManaged(t, merged, next)
		next = merged
		if r.Status.Prepare != nil {
			r.Status.Prepare(next, old)
		}
		return next
	}
	if take := partial[r.GVR.Resource+"/"+t.sub]; take != nil {
		merged := old.DeepCopyObject().(api.Object)
		take(merged, next)
		s.carryManaged(t, merged, next)
		if r.Default != nil {
			r.Default(merged)
		}
		if r.SpecChanged != nil && t.sub != "finalize" && r.SpecChanged(merged, old) {
			merged.SetGeneration(old.GetGeneration() + 1)
		}
		return merged
	}
	next.SetNamespace(old.GetNamespace())
	next.SetUID(old.GetUID())
	next.SetCreationTimestamp(old.GetCreationTimestamp())
	// Nobody takes back that an object is being deleted; validation refuses to say so of one that is not.
	if ts := old.GetDeletionTimestamp(); ts != nil {
		next.SetDeletionTimestamp(ts)
	}
	if grace := old.GetDeletionGracePeriodSeconds(); grace != nil && next.GetDeletionGracePeriodSeconds() == nil {
		next.SetDeletionGracePeriodSeconds(grace)
	}
	next.SetSelfLink("")
	next.SetGeneration(old.GetGeneration())
	dedupOwners(t, next)
	if next.GetGenerateName() == "" {
		next.SetGenerateName(old.GetGenerateName())
	}
	if t.sub == "" {
		r.PrepareUpdate(next, old)
		if svc, ok := next.(*corev1.Service); ok {
			carryService(svc, old.(*corev1.Service))
		}
	}
	if r.Default != nil {
		r.Default(next)
	}
	if r.SpecChanged != nil && t.sub != "binding" && r.SpecChanged(next, old) {
		next.SetGeneration(old.GetGeneration() + 1)
	}
	return next
}

func (s *Server) validateUpdate(t target, next, old api.Object) error {
	r := t.res
	var errs field.ErrorList
	if t.sub != "status" || !sameMetadata(next, old) {
		errs = meta.MetadataUpdate(next, old, metadataPath)
	}
	switch {
	case t.sub == "status":
		if r.Status.Validate != nil {
			errs = append(errs, r.Status.Validate(next, old)...)
		}
	case t.sub != "" && subresourceOf(r, t.sub) != nil && subresourceOf(r, t.sub).Validate != nil:
		errs = append(errs, subresourceOf(r, t.sub).Validate(next, old)...)
	case t.sub == "" && r.ValidateUpdate != nil:
		errs = append(errs, r.ValidateUpdate(next, old)...)
	case r.Validate != nil && r.ValidateUpdate == nil:
		errs = append(errs, r.Validate(next)...)
	}
	if t.sub == "" {
		errs = t.version.Judge(errs, next, old)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(t.groupKind(), t.name, errs)
	}
	warn := r.Warn
	if t.sub == "status" {
		warn = r.Status.Warn
	}
	if warn != nil {
		for _, w := range warn(next, old) {
			t.warn(w)
		}
	}
	return nil
}

// statusOver is old with the status of next. It may share with old what nobody changes after this.
func statusOver(r *api.Resource, old, next api.Object) api.Object {
	if r.Status.Over != nil {
		return r.Status.Over(old, next)
	}
	merged := old.DeepCopyObject().(api.Object)
	r.Status.Carry(merged, next)
	return merged
}

// sameMetadata tells that a status update brings no metadata of its own: what there is was judged before.
func sameMetadata(next, old api.Object) bool {
	return maps.Equal(next.GetLabels(), old.GetLabels()) && maps.Equal(next.GetAnnotations(), old.GetAnnotations()) && slices.Equal(next.GetFinalizers(), old.GetFinalizers())
}

func (s *Server) storeError(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 507, Reason: metav1.StatusReasonInternalError,
			Message: "the disk that holds the cluster state is full: free some space; deletes are still accepted"}}
	case errors.Is(err, store.ErrClosed):
		return apierrors.NewServiceUnavailable(err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return apierrors.NewTimeoutError("the request was given up before the write was confirmed; it may or may not have happened", 1)
	}
	return apierrors.NewInternalError(err)
}

// dedupOwners drops repeated owners, as Kubernetes has done since 1.20.
func dedupOwners(t *target, o api.Object) {
	refs := o.GetOwnerReferences()
	if len(refs) < 2 {
		return
	}
	seen, twice := map[types.UID]bool{}, []string{}
	kept := refs[:0:0]
	for _, ref := range refs {
		if seen[ref.UID] && slices.ContainsFunc(kept, func(k metav1.OwnerReference) bool { return equality.Semantic.DeepEqual(k, ref) }) {
			if !slices.Contains(twice, string(ref.UID)) {
				twice = append(twice, string(ref.UID))
			}
			continue
		}
		seen[ref.UID] = true
		kept = append(kept, ref)
	}
	if len(twice) > 0 {
		o.SetOwnerReferences(kept)
		t.warn(".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: " + strings.Join(twice, ", "))
	}
}
