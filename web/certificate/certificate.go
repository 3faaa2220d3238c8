// Package certificate gives the page a certificate: the one that the configuration names, or one of our own making.
//
// It promises: our own certificate covers the names that it is asked for, is made anew when it lacks one or ends within 30 days, and otherwise stays, so
// that an exception that a person made stays good; its key has mode 0600. It leaves to package web which names those are, and when there is TLS at all.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// Files of the certificate that we make ourselves, in the state folder.
const (
	CertFile = "web-cert.pem"
	KeyFile  = "web-key.pem"
)

// ownLife is how long our own certificate is valid: browsers take at most 398 days from public issuers, and an exception that a person has made
// ends with it.
const ownLife = 825 * 24 * time.Hour

// Own reads our own certificate from the state folder, or makes it. replace writes a file that is there as a whole or not at all.
func Own(state string, names []string, now time.Time, replace func(path string, content []byte, mode fs.FileMode) error) (tls.Certificate, error) {
	return OwnIn(filepath.Join(state, CertFile), filepath.Join(state, KeyFile), names, now, replace)
}

// OwnIn is Own for another server, with files of its own.
func OwnIn(crt, key string, names []string, now time.Time, replace func(path string, content []byte, mode fs.FileMode) error) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(crt, key)
	if err == nil && covers(pair.Leaf, names, now) {
		return pair, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pair, fmt.Errorf("own certificate: %w: remove %s and %s for new ones", err, crt, key)
	}
	certPEM, keyPEM, err := selfSigned(names, now)
	if err != nil {
		return pair, fmt.Errorf("make certificate: %w", err)
	}
	if err := errors.Join(replace(key, keyPEM, 0o600), replace(crt, certPEM, 0o644)); err != nil {
		return pair, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

func covers(leaf *x509.Certificate, names []string, now time.Time) bool {
	if leaf == nil || now.Add(30*24*time.Hour).After(leaf.NotAfter) {
		return false
	}
	for _, n := range names {
		if certName(n) && leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	return true
}

// certName reports whether a certificate can carry the name.
func certName(n string) bool { return n != "" && !strings.ContainsAny(n, "_ %") }

// selfSigned makes a P-256 key and a certificate for the names.
func selfSigned(names []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "tallyman"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil {
			t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
		} else if certName(n) {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// Fingerprint is the SHA-256 of the certificate as browsers show it: AB:CD:...
func Fingerprint(pair tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}
