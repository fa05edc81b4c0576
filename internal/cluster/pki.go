package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// pki holds the keys and certificates of a cluster. They are made at the first
// start; leaf certificates are made anew when their time is nearly up or what they name changed.
type pki struct {
	authority
	server tls.Certificate
	// front signs the certificates by which this API server tells other API servers for whom
	// it speaks. It is an authority of its own, or else every client could speak for others.
	front authority
	proxy tls.Certificate
	// admin is the administrator's client certificate and key, as PEM.
	adminCert, adminKey []byte
	// tokens signs service-account tokens.
	tokens *ecdsa.PrivateKey
}

// authority signs certificates.
type authority struct {
	caCert *x509.Certificate
	caKey  *ecdsa.PrivateKey
	caPEM  []byte
}

// proxyName is the common name by which other API servers know this one.
const proxyName = "front-proxy-client"

const (
	caLife    = 10 * 365 * 24 * time.Hour
	leafLife  = 365 * 24 * time.Hour
	renewLeft = 30 * 24 * time.Hour
)

func openPKI(c *Config) (*pki, error) {
	p := &pki{}
	var err error
	if p.authority, err = openCA(c, "ca", "kubernetes"); err != nil {
		return nil, err
	}
	if p.front, err = openCA(c, "front-proxy-ca", "front-proxy-ca"); err != nil {
		return nil, err
	}
	if p.tokens, err = openKey(c.path("pki", "sa.key")); err != nil {
		return nil, err
	}
	first, err := serviceAddress(c.ServiceCIDR, 1)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	serverTemplate := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: unique("localhost", host, c.NodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc."+c.ClusterDomain),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(c.NodeIP), net.ParseIP(first)},
	}
	if ip := net.ParseIP(c.BindAddress); ip != nil && !ip.IsUnspecified() {
		serverTemplate.IPAddresses = append(serverTemplate.IPAddresses, ip)
	}
	cert, key, err := p.leaf(c, "apiserver", serverTemplate)
	if err != nil {
		return nil, err
	}
	if p.server, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, err
	}
	cert, key, err = p.front.leaf(c, proxyName, &x509.Certificate{Subject: pkix.Name{CommonName: proxyName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, err
	}
	if p.proxy, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, err
	}
	p.adminCert, p.adminKey, err = p.leaf(c, "admin", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return p, err
}

// openCA reads the named authority, or makes it.
func openCA(c *Config, name, commonName string) (authority, error) {
	certFile, keyFile := c.path("pki", name+".crt"), c.path("pki", name+".key")
	key, err := openKey(keyFile)
	if err != nil {
		return authority{}, err
	}
	b, err := os.ReadFile(certFile)
	if err == nil {
		cert, err := parseCertificate(b)
		if err != nil {
			return authority{}, fmt.Errorf("%s: %w", certFile, err)
		}
		return authority{cert, key, b}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return authority{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(caLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		IsCA:     true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return authority{}, err
	}
	b = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := writeFile(certFile, b, 0o644); err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert, key, b}, err
}

// leaf returns the named certificate and key as PEM, signing a new one when
// there is none, it is nearly over, or it does not name what it should.
func (p *authority) leaf(c *Config, name string, t *x509.Certificate) (cert, key []byte, err error) {
	certFile, keyFile := c.path("pki", name+".crt"), c.path("pki", name+".key")
	if cert, err = os.ReadFile(certFile); err == nil {
		if key, err = os.ReadFile(keyFile); err == nil {
			if have, err := parseCertificate(cert); err == nil && p.serves(have, t) {
				return cert, key, nil
			}
		}
	}
	k, err := openKey(keyFile)
	if err != nil {
		return nil, nil, err
	}
	t.SerialNumber = serial()
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(leafLife)
	t.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	der, err := x509.CreateCertificate(rand.Reader, t, p.caCert, &k.PublicKey, p.caKey)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := writeFile(certFile, cert, 0o644); err != nil {
		return nil, nil, err
	}
	key, err = os.ReadFile(keyFile)
	return cert, key, err
}

func (p *authority) serves(have, want *x509.Certificate) bool {
	if time.Until(have.NotAfter) < renewLeft || have.CheckSignatureFrom(p.caCert) != nil {
		return false
	}
	for _, n := range want.DNSNames {
		if have.VerifyHostname(n) != nil {
			return false
		}
	}
	for _, ip := range want.IPAddresses {
		if have.VerifyHostname(ip.String()) != nil {
			return false
		}
	}
	return have.Subject.CommonName == want.Subject.CommonName
}

func openKey(file string) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, err
		}
		return k, writeFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM key", file)
	}
	k, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

func parseCertificate(b []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no PEM certificate in it")
	}
	return x509.ParseCertificate(block.Bytes)
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // the kernel's random source does not fail
	}
	return n
}

func unique(names ...string) []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}
