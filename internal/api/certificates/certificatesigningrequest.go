package certificates

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CertificateSigningRequest is all there is about CertificateSigningRequest objects on the server.
var CertificateSigningRequest = api.Kind[certificatesv1.CertificateSigningRequest]{
	Version: certificatesv1.SchemeGroupVersion, Resource: "certificatesigningrequests", Short: []string{"csr"},
	List:     &certificatesv1.CertificateSigningRequestList{},
	Versions: requestVersions,
	Status: api.StatusOf(func(o *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestStatus {
		return &o.Status
	}).WithPrepare(stampConditions).WithValidate(validateRequestStatus),
	Name: api.NameIsPathSegment,
	Subresources: []api.Subresource{
		{Name: "approval", Kind: certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), Verbs: []string{"get", "patch", "update"}, Validate: validateApproval},
	},
	Validate: validateRequest,
	// What was asked for is for good: changes of it are dropped, not refused.
	PrepareUpdate:  func(next, old *certificatesv1.CertificateSigningRequest) { next.Spec = old.Spec },
	ValidateUpdate: func(_, _ *certificatesv1.CertificateSigningRequest) field.ErrorList { return nil },
	Fields: map[string]func(*certificatesv1.CertificateSigningRequest) string{
		"spec.signerName": func(o *certificatesv1.CertificateSigningRequest) string { return o.Spec.SignerName },
	},
	Columns: api.Columns[certificatesv1.CertificateSigningRequest]{
		api.NameColumn[certificatesv1.CertificateSigningRequest](),
		api.AgeColumn[certificatesv1.CertificateSigningRequest](),
		api.Text("SignerName", "signerName indicates the requested signer, and is a qualified name.", func(o *certificatesv1.CertificateSigningRequest) any { return o.Spec.SignerName }),
		api.Text("Requestor", "username contains the name of the user that created the CertificateSigningRequest.", func(o *certificatesv1.CertificateSigningRequest) any { return o.Spec.Username }),
		api.Text("RequestedDuration", "expirationSeconds is the requested duration of validity of the issued certificate.", func(o *certificatesv1.CertificateSigningRequest) any { return requestedDuration(o) }),
		api.Text("Condition", "conditions applied to the request.", func(o *certificatesv1.CertificateSigningRequest) any { return conditionText(o) }),
	},
}

func requestedDuration(o *certificatesv1.CertificateSigningRequest) string {
	if o.Spec.ExpirationSeconds == nil {
		return "<none>"
	}
	return duration.HumanDuration(time.Duration(*o.Spec.ExpirationSeconds) * time.Second)
}
