package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestIssued gives a pod's request certificates, good ones and others.
func TestIssued(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stub, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	chain := func(public crypto.PublicKey, from, to time.Time) string {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to}
		der, err := x509.CreateCertificate(rand.Reader, c, c, public, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	at := func(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
	type status = certificatesv1.PodCertificateRequestStatus
	for name, c := range map[string]struct {
		life   time.Duration
		change func(*status, time.Time)
		want   string
	}{
		"good":           {change: func(*status, time.Time) {}},
		"two":            {change: func(s *status, _ time.Time) { s.CertificateChain += s.CertificateChain }},
		"too long":       {change: func(s *status, _ time.Time) { s.CertificateChain = strings.Repeat("a", maxChain+1) }, want: "may not be more than 102400 bytes"},
		"another's":      {change: func(s *status, now time.Time) { s.CertificateChain = chain(other, now, now.Add(2*time.Hour)) }, want: "was not issued to the requested public key"},
		"no times":       {change: func(s *status, _ time.Time) { s.NotBefore, s.NotAfter, s.BeginRefreshAt = nil, nil, nil }, want: "must be present and in the range"},
		"another start":  {change: func(s *status, now time.Time) { s.NotBefore = at(now.Add(time.Second)) }, want: "must be set to the NotBefore time"},
		"another end":    {change: func(s *status, now time.Time) { s.NotAfter = at(now) }, want: "must be set to the NotAfter time"},
		"early refresh":  {change: func(s *status, now time.Time) { s.BeginRefreshAt = at(now.Add(9 * time.Minute)) }, want: "at least 10 minutes after status.notBefore"},
		"late refresh":   {change: func(s *status, now time.Time) { s.BeginRefreshAt = at(now.Add(111 * time.Minute)) }, want: "at least 10 minutes before status.notAfter"},
		"brief":          {life: 59 * time.Minute, change: func(*status, time.Time) {}, want: "lifetime must be >= 1 hour"},
		"long":           {life: 25 * time.Hour, change: func(*status, time.Time) {}, want: "lifetime must be <= spec.maxExpirationSeconds (86400)"},
		"of another day": {change: func(*status, time.Time) { time.Sleep(clockSkew) }, want: "must be set to within 5 minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				life := c.life
				if life == 0 {
					life = 2 * time.Hour
				}
				end := now.Add(life)
				old := &certificatesv1.PodCertificateRequest{Spec: certificatesv1.PodCertificateRequestSpec{StubPKCS10Request: stub}}
				PodCertificateRequest.Default(old)
				next := old.DeepCopy()
				next.Status = status{CertificateChain: chain(key.Public(), now, end), NotBefore: at(now), NotAfter: at(end), BeginRefreshAt: at(now.Add(30 * time.Minute)),
					Conditions: []metav1.Condition{{Type: "Issued", Status: metav1.ConditionTrue, Reason: "A", LastTransitionTime: metav1.Now()}}}
				c.change(&next.Status, now)
				errs := validatePodRequestStatus(next, old)
				if c.want == "" && len(errs) > 0 || c.want != "" && (len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), c.want)) {
					t.Errorf("got %v, want %q", errs, c.want)
				}
			})
		})
	}
}

// TestStamps: what a request's conditions say is dated.
func TestStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, now := metav1.NewTime(time.Now().Add(-time.Hour)), metav1.Now()
		request := func(cs ...certificatesv1.CertificateSigningRequestCondition) *certificatesv1.CertificateSigningRequest {
			return &certificatesv1.CertificateSigningRequest{Status: certificatesv1.CertificateSigningRequestStatus{Conditions: cs}}
		}
		type condition = certificatesv1.CertificateSigningRequestCondition
		old := request(condition{Type: "A", Status: "True", LastUpdateTime: before, LastTransitionTime: before}, condition{Type: "B", Status: "False", LastTransitionTime: before})
		given := request(condition{Type: "A", Status: "True"}, condition{Type: "B", Status: "True", LastUpdateTime: before}, condition{Type: "C", Status: "True", LastTransitionTime: before})
		next := given.DeepCopy()
		stampConditions(next, old)
		for i, want := range [][2]metav1.Time{{now, before}, {before, now}, {now, before}} {
			if c := next.Status.Conditions[i]; !c.LastUpdateTime.Equal(&want[0]) || !c.LastTransitionTime.Equal(&want[1]) {
				t.Errorf("%s: updated %s, changed %s", c.Type, c.LastUpdateTime, c.LastTransitionTime)
			}
		}
	})
}

// TestDecisionIsDated: who approves a request need not say when.
func TestDecisionIsDated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := metav1.Now()
		old := &certificatesv1.CertificateSigningRequest{}
		next := old.DeepCopy()
		next.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: "True"}}
		for _, sub := range CertificateSigningRequest.Subresources {
			if errs := sub.Validate(next, old); len(errs) > 0 {
				t.Fatal(sub.Name, errs)
			}
		}
		if c := next.Status.Conditions[0]; !c.LastUpdateTime.Equal(&now) || !c.LastTransitionTime.Equal(&now) {
			t.Errorf("updated %s, changed %s", c.LastUpdateTime, c.LastTransitionTime)
		}
	})
}

// TestTooLong: requests and chains past their size are refused before anything is parsed.
func TestTooLong(t *testing.T) {
	if errs := validateStub(make([]byte, maxStubRequest+1), specPath); len(errs) != 1 || !strings.Contains(errs[0].Error(), "may not be more than 10240 bytes") {
		t.Error(errs)
	}
	if errs := validateAnchors(strings.Repeat("a", maxTrustBundle+1), specPath); len(errs) != 1 || !strings.Contains(errs[0].Error(), "may not be more than 1048576 bytes") {
		t.Error(errs)
	}
	if text := keyTrouble("nothing"); text == "" {
		t.Error("a key of no type is taken")
	}
}
