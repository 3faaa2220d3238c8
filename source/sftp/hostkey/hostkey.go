// Package hostkey keeps the keys that our SSH server is known by, in OpenSSH's own format, so that those of another server can be taken along.
//
//	DIR/ssh_host_ed25519_key   made at the first start
//	DIR/ssh_host_ecdsa_key     made at the first start, for clients that do not know the other
//	DIR/ssh_host_rsa_key       used if it is there
//
// It promises: a key is never replaced; a file that others could read is refused; what is written is whole or not there.
package hostkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// Pattern matches the files in the folder.
const Pattern = "ssh_host_*_key"

// Open reads the keys of the folder and makes those that are missing. fresh says that some were made: nobody can know them yet.
func Open(dir string) (keys []ssh.Signer, fresh bool, err error) {
	for _, k := range [...]struct {
		name string
		make func() (crypto.PrivateKey, error)
	}{
		{"ssh_host_ed25519_key", func() (crypto.PrivateKey, error) {
			_, k, err := ed25519.GenerateKey(rand.Reader)
			return k, err
		}},
		{"ssh_host_ecdsa_key", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
		{"ssh_host_rsa_key", nil},
	} {
		path := filepath.Join(dir, k.name)
		s, err := read(path)
		if errors.Is(err, fs.ErrNotExist) {
			if k.make == nil {
				continue
			}
			fresh = true
			if err = write(path, k.make); err == nil {
				s, err = read(path)
			}
		}
		if err != nil {
			return nil, false, err
		}
		keys = append(keys, s)
	}
	return keys, fresh, nil
}

func read(path string) (ssh.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("host key %s may be read by others (mode %04o): chmod 600 it, and make a new one if others could read it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	s, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("read host key %s: %w: restore it, or move it away and clients will be asked to trust a new one", path, err)
	}
	if s.PublicKey().Type() == ssh.KeyAlgoRSA {
		a, ok := s.(ssh.AlgorithmSigner)
		if !ok || len(s.PublicKey().Marshal()) < 279 { // RFC 4253, section 6.6, with a modulus of 2048 bits
			return nil, fmt.Errorf("host key %s is too short: RSA from 2048 bits on", path)
		}
		return ssh.NewSignerWithAlgorithms(a, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
	}
	return s, nil
}

// write makes a key. Of two processes that do so at once, one wins and both use its key.
func write(path string, draw func() (crypto.PrivateKey, error)) error {
	k, err := draw()
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(k, "tallyman")
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(pem.EncodeToMemory(block))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make host key: %w", err)
	}
	return nil
}
