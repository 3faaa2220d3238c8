package web

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
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tallyman/web/account"
)

// Files of the certificate that we make ourselves, in the state folder.
const (
	certFile = "web-cert.pem"
	keyFile  = "web-key.pem"
)

// ownLife is how long our own certificate is valid: browsers take at most 398 days from public issuers, and an exception that a person has made
// ends with it.
const ownLife = 825 * 24 * time.Hour

// certificate reads the configured certificate, or our own, which is made anew when there is none, when it ends within 30 days, or when it
// lacks a name.
func certificate(c Config, state, name string, now time.Time) (tls.Certificate, error) {
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return pair, fmt.Errorf("web.cert_file, web.key_file: %w", err)
		}
		return pair, nil
	}
	names := append([]string{"localhost", "127.0.0.1", "::1", name}, c.Hosts...)
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		names = append(names, host)
	}
	crt, key := filepath.Join(state, certFile), filepath.Join(state, keyFile)
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
	if err := errors.Join(account.ReplaceFile(key, keyPEM, 0o600), account.ReplaceFile(crt, certPEM, 0o644)); err != nil {
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

// fingerprint is the SHA-256 of the certificate as browsers show it: AB:CD:...
func fingerprint(pair tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// removeStale takes away a socket that a dead process left. Two processes never share a state folder, so it is not in use.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is in the way and is no socket: move it away", path)
	}
	return os.Remove(path)
}
