package ftp

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Trust says which certificate of a server is believed. The zero value asks the authorities of the system.
type Trust struct {
	Authorities *x509.CertPool // nil: those of the system
	Fingerprint []byte         // SHA-256 of the one certificate that is believed; nil: the authorities decide
	Insecure    bool           // believes any
}

// ParseFingerprint reads the SHA-256 of a certificate in hexadecimal, with colons or without.
func ParseFingerprint(text string) ([]byte, error) {
	sum, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("%q is no SHA-256 of a certificate: write its 64 hexadecimal digits, with colons or without", text)
	}
	return sum, nil
}

// config is for one control connection and its data connections: they share a cache of sessions, as servers demand that data resumes the session of
// the control connection (vsftpd's require_ssl_reuse), and they must show the same certificate.
func (t Trust) config(host string) *tls.Config {
	var first []byte // of the control connection
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: t.Authorities, ClientSessionCache: tls.NewLRUClientSessionCache(4),
		InsecureSkipVerify: t.Insecure || t.Fingerprint != nil, //nolint:gosec // asked for, or VerifyConnection compares the fingerprint
		VerifyConnection: func(c tls.ConnectionState) error {
			sum := sha256.Sum256(c.PeerCertificates[0].Raw)
			if t.Fingerprint != nil && subtle.ConstantTimeCompare(sum[:], t.Fingerprint) == 0 {
				return fmt.Errorf("the server shows the certificate %s, and not the one of --fingerprint", Fingerprint(sum[:]))
			}
			if first == nil {
				first = sum[:]
			} else if subtle.ConstantTimeCompare(first, sum[:]) == 0 {
				return errors.New("the data connection shows another certificate than the control connection")
			}
			return nil
		},
	}
}

// Fingerprint writes a hash as openssl x509 -fingerprint does.
func Fingerprint(sum []byte) string {
	return strings.ToUpper(strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"), ":"))
}

// distrust says what to do when a certificate is not believed.
func distrust(err error) string {
	unknown, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || len(unknown.UnverifiedCertificates) == 0 {
		return err.Error()
	}
	sum := sha256.Sum256(unknown.UnverifiedCertificates[0].Raw)
	return fmt.Sprintf("%v: if the server's administrator confirms this SHA-256, use --fingerprint %s, or --cacert FILE", err, Fingerprint(sum[:]))
}
