package apiregistration

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// DefaultPort is the port of a service that an APIService names without one.
const DefaultPort int32 = 443

// APIService is all there is about APIService objects on the server.
var APIService = api.Kind[apiregistrationv1.APIService]{
	Version: apiregistrationv1.SchemeGroupVersion, Resource: "apiservices", Categories: []string{"api-extensions"},
	Storage: "apiregistration.k8s.io/apiservices",
	List:    &apiregistrationv1.APIServiceList{},
	Default: func(o *apiregistrationv1.APIService) {
		if o.Spec.Service != nil {
			meta.DefaultAt(&o.Spec.Service.Port, DefaultPort)
		}
	},
	Prepare: func(o *apiregistrationv1.APIService) {
		// What this server answers itself needs nobody to look whether it does.
		if o.Spec.Service == nil {
			SetCondition(o, LocalCondition(), time.Now())
		}
	},
	LooseFinalizers: true,
	RequireVersion:  true,
	Status: api.StatusOf(func(o *apiregistrationv1.APIService) *apiregistrationv1.APIServiceStatus { return &o.Status }).
		WithValidate(func(next, _ *apiregistrationv1.APIService) field.ErrorList { return validateStatus(&next.Status) }).
		WithPrepare(func(next, old *apiregistrationv1.APIService) {
			next.Labels, next.Annotations = old.Labels, old.Annotations
			next.Finalizers, next.OwnerReferences = old.Finalizers, old.OwnerReferences
		}),
	Name:     api.NameIsPathSegment,
	Validate: validate,
	ValidateUpdate: func(next, _ *apiregistrationv1.APIService) field.ErrorList {
		return validate(next)
	},
	Columns: api.Columns[apiregistrationv1.APIService]{
		api.NameColumn[apiregistrationv1.APIService](),
		api.Text("Service", "The reference to the service that hosts this API endpoint.", serviceCell),
		api.Text("Available", "Whether this service is available.", availableCell),
		api.AgeColumn[apiregistrationv1.APIService](),
	},
}

func serviceCell(o *apiregistrationv1.APIService) any {
	if s := o.Spec.Service; s != nil {
		return s.Namespace + "/" + s.Name
	}
	return "Local"
}

func availableCell(o *apiregistrationv1.APIService) any {
	c := Available(o)
	switch {
	case c == nil:
		return string(apiregistrationv1.ConditionUnknown)
	case c.Status != apiregistrationv1.ConditionTrue && c.Reason != "":
		return fmt.Sprintf("%s (%s)", c.Status, c.Reason)
	}
	return string(c.Status)
}

var specPath = field.NewPath("spec")

func validate(o *apiregistrationv1.APIService) field.ErrorList {
	s := &o.Spec
	errs := validateName(o)
	if s.Group == "" && s.Version != "v1" {
		errs = append(errs, field.Required(specPath.Child("group"), "only v1 may have an empty group and it better be legacy kube"))
	}
	if s.Group != "" {
		errs = append(errs, meta.Invalids(specPath.Child("group"), s.Group, validation.IsDNS1123Subdomain(s.Group))...)
	}
	errs = append(errs, meta.Invalids(specPath.Child("version"), s.Version, validation.IsDNS1035Label(s.Version))...)
	// compat: the largest values are allowed all the same.
	if s.GroupPriorityMinimum <= 0 || s.GroupPriorityMinimum > 20000 {
		errs = append(errs, field.Invalid(specPath.Child("groupPriorityMinimum"), s.GroupPriorityMinimum, "must be positive and less than 20000"))
	}
	if s.VersionPriority <= 0 || s.VersionPriority > 1000 {
		errs = append(errs, field.Invalid(specPath.Child("versionPriority"), s.VersionPriority, "must be positive and less than 1000"))
	}
	if s.Service == nil {
		return append(errs, validateLocal(s)...)
	}
	return append(errs, validateService(s)...)
}

// validateName holds the object to the one name that its group version has.
func validateName(o *apiregistrationv1.APIService) field.ErrorList {
	want := o.Spec.Version + "." + o.Spec.Group
	// A name that cannot be in a path is refused for that alone.
	if o.Name == "" || o.Name == want || len(api.NameIsPathSegment(o.Name, false)) > 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), o.Name, fmt.Sprintf("must be `spec.version+\".\"+spec.group`: %q", want))}
}

func validateLocal(s *apiregistrationv1.APIServiceSpec) field.ErrorList {
	var errs field.ErrorList
	if n := len(s.CABundle); n > 0 {
		errs = append(errs, field.Invalid(specPath.Child("caBundle"), fmt.Sprintf("%d bytes", n), "local APIServices may not have a caBundle"))
	}
	if s.InsecureSkipTLSVerify {
		errs = append(errs, field.Invalid(specPath.Child("insecureSkipTLSVerify"), true, "local APIServices may not have insecureSkipTLSVerify"))
	}
	return errs
}

func validateService(s *apiregistrationv1.APIServiceSpec) field.ErrorList {
	var errs field.ErrorList
	at := specPath.Child("service")
	if s.Service.Namespace == "" {
		errs = append(errs, field.Required(at.Child("namespace"), ""))
	}
	if s.Service.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	if msgs := validation.IsValidPortNum(int(PortOf(s.Service))); len(msgs) > 0 {
		errs = append(errs, field.Invalid(at.Child("port"), PortOf(s.Service), "port is not valid: "+msgs[0]))
	}
	if s.InsecureSkipTLSVerify && len(s.CABundle) > 0 {
		errs = append(errs, field.Invalid(specPath.Child("insecureSkipTLSVerify"), true, "may not be true if caBundle is present"))
	}
	return errs
}

var statuses = []apiregistrationv1.ConditionStatus{apiregistrationv1.ConditionTrue, apiregistrationv1.ConditionFalse, apiregistrationv1.ConditionUnknown}

func validateStatus(s *apiregistrationv1.APIServiceStatus) field.ErrorList {
	var errs field.ErrorList
	for i, c := range s.Conditions {
		if !slices.Contains(statuses, c.Status) {
			errs = append(errs, field.NotSupported(field.NewPath("status", "conditions").Index(i).Child("status"), c.Status, statuses))
		}
	}
	return errs
}

// PortOf is the port that the service is reached at.
func PortOf(s *apiregistrationv1.ServiceReference) int32 {
	if s.Port == nil {
		return DefaultPort
	}
	return *s.Port
}

// Available is the condition that tells whether the group version is served; nil when nobody has looked yet.
func Available(o *apiregistrationv1.APIService) *apiregistrationv1.APIServiceCondition {
	for i := range o.Status.Conditions {
		if c := &o.Status.Conditions[i]; c.Type == apiregistrationv1.Available {
			return c
		}
	}
	return nil
}

// LocalCondition is the condition of what this server answers itself.
func LocalCondition() apiregistrationv1.APIServiceCondition {
	return apiregistrationv1.APIServiceCondition{
		Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue,
		Reason: "Local", Message: "Local APIServices are always available",
	}
}

// SetCondition puts a condition in the place of the one of its type. The time of
// the transition stays when the status does.
func SetCondition(o *apiregistrationv1.APIService, c apiregistrationv1.APIServiceCondition, now time.Time) {
	c.LastTransitionTime = metav1.Time{Time: now.UTC().Truncate(time.Second)}
	for i := range o.Status.Conditions {
		if have := &o.Status.Conditions[i]; have.Type == c.Type {
			if have.Status == c.Status {
				c.LastTransitionTime = have.LastTransitionTime
			}
			*have = c
			return
		}
	}
	o.Status.Conditions = append(o.Status.Conditions, c)
}
