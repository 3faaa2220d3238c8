// Package password makes and checks the hashes of passwords: argon2id (RFC 9106) as PHC strings, and bcrypt of other programs.
//
// It promises: a hash is made with a fresh salt; comparing takes constant time for one hash; what can be read costs a bounded amount of memory and
// time, because a file with a dear hash would stop the server. Who has which hash, and how often one may try, it leaves to package user.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Cost of argon2id: 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet, "Argon2id").
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	threads = 1
	keySize = 32
)

// Bounds of what is read.
const (
	Least      = 10 // bytes of a new password
	Most       = 256
	mostMemory = 256 * 1024 // KiB
	mostPasses = 10
	mostBcrypt = 14 // about two seconds
)

// Nobody is a hash that no password fits. It costs what a new hash costs.
const Nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// Hash returns the PHC string of a new password.
func Hash(password string) (string, error) {
	if len(password) < Least || len(password) > Most {
		return "", fmt.Errorf("the password has %d bytes: take %d to %d", len(password), Least, Most)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key := argon2.IDKey([]byte(password), salt, passes, memory, threads, keySize)
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads, b.EncodeToString(salt), b.EncodeToString(key)), nil
}

// Check says what is wrong with a hash, nil if it can be used.
func Check(hash string) error {
	if isBcrypt(hash) {
		cost, err := bcrypt.Cost([]byte(hash))
		switch {
		case err != nil || len(hash) != 60:
			return errors.New("is no whole bcrypt hash: it has 60 characters")
		case cost > mostBcrypt:
			return fmt.Errorf("costs too much: bcrypt up to cost %d", mostBcrypt)
		}
		return nil
	}
	_, err := parse(hash)
	return err
}

// Fits reports whether the password is the one that was hashed. What cannot be read fits nothing.
func Fits(hash, password string) bool {
	if isBcrypt(hash) {
		return len(password) <= 72 && Check(hash) == nil && bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}
	p, err := parse(hash)
	if err != nil || len(password) > Most {
		return false
	}
	got := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(got, p.key) == 1
}

func isBcrypt(hash string) bool {
	for _, head := range []string{"$2a$", "$2b$", "$2y$"} {
		if strings.HasPrefix(hash, head) {
			return true
		}
	}
	return false
}

// phc is an argon2id hash, read.
type phc struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

func parse(hash string) (phc, error) {
	var p phc
	part := strings.Split(hash, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" {
		return p, errors.New("is no hash that is known here: take argon2id ($argon2id$...) or bcrypt ($2b$...), as tallyman user passwd writes it")
	}
	var version int
	if _, err := fmt.Sscanf(part[2]+" "+part[3], "v=%d m=%d,t=%d,p=%d", &version, &p.memory, &p.passes, &p.threads); err != nil || version != argon2.Version {
		return p, errors.New("is an argon2id hash whose parameters cannot be read")
	}
	var errSalt, errKey error
	p.salt, errSalt = base64.RawStdEncoding.DecodeString(part[4])
	p.key, errKey = base64.RawStdEncoding.DecodeString(part[5])
	switch {
	case errSalt != nil || errKey != nil || len(p.key) < 16 || len(p.salt) < 8 || p.passes < 1 || p.threads < 1:
		return p, errors.New("is an argon2id hash that is cut or damaged")
	case p.memory > mostMemory || p.passes > mostPasses:
		return p, fmt.Errorf("costs too much: argon2id up to m=%d (256 MiB), t=%d", mostMemory, mostPasses)
	}
	return p, nil
}
