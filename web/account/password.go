package account

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost of argon2id: 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet, "Argon2id").
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
)

// Bounds of a password, in bytes.
const (
	minPassword = 10
	maxPassword = 256
)

// hashPassword returns the PHC string of the password with a fresh salt.
func hashPassword(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("the password has %d bytes: take %d to %d", len(password), minPassword, maxPassword)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b.EncodeToString(salt), b.EncodeToString(key)), nil
}

// passwordFits compares in constant time. A hash that cannot be read, or that would cost more than 256 MiB or ten passes, fits nothing.
func passwordFits(hash, password string) bool {
	part := strings.Split(hash, "$")
	if len(part) != 6 || part[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	var version, memory, passes uint32
	var threads uint8
	if _, err := fmt.Sscanf(part[2]+" "+part[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &threads); err != nil {
		return false
	}
	salt, errSalt := base64.RawStdEncoding.DecodeString(part[4])
	want, errKey := base64.RawStdEncoding.DecodeString(part[5])
	if version != argon2.Version || errSalt != nil || errKey != nil || len(want) < 16 ||
		memory > 256*1024 || passes < 1 || passes > 10 || threads < 1 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// Secret draws 256 random bits for a program, a cookie or a link to carry. Only a hash of it is kept.
func Secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// SameSecret compares in constant time.
func SameSecret(a, b string) bool { return same(hashOf(a), hashOf(b)) }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
