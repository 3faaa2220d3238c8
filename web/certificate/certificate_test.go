package certificate_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/web/certificate"
)

var now = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

func own(t *testing.T, state string, at time.Time, names ...string) tls.Certificate {
	t.Helper()
	pair, err := certificate.Own(state, names, at, os.WriteFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestOwnCertificateIsMadeOnceAndCoversTheNames(t *testing.T) {
	state := t.TempDir()
	first := own(t, state, now, "localhost", "127.0.0.1", "::1", "tally.example.net", "", "not_a_host")
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "tally.example.net"} {
		if err := first.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(filepath.Join(state, certificate.KeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	print := certificate.Fingerprint(first)
	if len(print) != 32*3-1 || strings.Trim(print, "0123456789ABCDEF:") != "" {
		t.Errorf("fingerprint %q", print)
	}
	if again := own(t, state, now.Add(time.Hour), "localhost", "tally.example.net"); certificate.Fingerprint(again) != print {
		t.Error("a restart makes another certificate")
	}
	if other := own(t, state, now, "localhost", "new.example.net"); certificate.Fingerprint(other) == print {
		t.Error("the certificate lacks a new name")
	}
}

func TestCertificateThatEndsSoonIsMadeAnew(t *testing.T) {
	state := t.TempDir()
	first := own(t, state, now, "localhost")
	if renewed := own(t, state, first.Leaf.NotAfter.Add(-24*time.Hour), "localhost"); certificate.Fingerprint(renewed) == certificate.Fingerprint(first) {
		t.Error("a certificate that ends tomorrow is kept")
	}
}

func TestDamagedCertificateIsSaidAndLeftAlone(t *testing.T) {
	state := t.TempDir()
	own(t, state, now, "localhost")
	if err := os.WriteFile(filepath.Join(state, certificate.CertFile), []byte("no PEM"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := certificate.Own(state, []string{"localhost"}, now, os.WriteFile); err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("%v", err)
	}
	full := errors.New("no space left on device")
	if _, err := certificate.Own(t.TempDir(), []string{"localhost"}, now, func(string, []byte, fs.FileMode) error { return full }); !errors.Is(err, full) {
		t.Errorf("what cannot be stored: %v", err)
	}
}
