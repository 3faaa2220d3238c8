package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"tallyman"
)

// File is the name of the accounts file in the state folder.
const File = "web-accounts.json"

const (
	// SessionLife is how long a cookie is good for.
	SessionLife  = 30 * 24 * time.Hour
	mostSessions = 200 // the oldest goes first
)

// Role is what somebody may do.
type Role string

// The roles: each may do what the one before it may.
const (
	Viewer   Role = "viewer"   // read
	Operator Role = "operator" // and give orders
	Admin    Role = "admin"    // and, later, change accounts
)

// MayOrder reports whether the role may give orders.
func (r Role) MayOrder() bool { return r == Operator || r == Admin }

// Person is who asks: somebody with a session, a program with a token, or whoever may open the socket.
type Person struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
}

type entry struct {
	Name     string `json:"name"`
	Role     Role   `json:"role"`
	Password string `json:"password,omitempty"` // PHC string; empty = only by set-up link, only on loopback
}

type token struct {
	Name string    `json:"name"`
	Role Role      `json:"role"`
	Hash string    `json:"sha256"`
	Made time.Time `json:"made"`
}

type session struct {
	Account string    `json:"account"`
	Hash    string    `json:"sha256"`
	Until   time.Time `json:"until"`
}

// Book lists the people and programs that may see the page, kept in a file of mode 0600 that holds hashes only. It is replaced as a
// whole, so that a crash leaves the old one or the new one. All methods may be called by many goroutines. A change by another process is
// seen at the next start.
type Book struct {
	path string

	mu   sync.Mutex
	kept struct {
		Accounts []entry   `json:"accounts"`
		Tokens   []token   `json:"tokens,omitempty"`
		Sessions []session `json:"sessions,omitempty"`
	}
}

// Open reads the accounts file of the state folder; an absent one is empty.
func Open(state string) (*Book, error) {
	b := &Book{path: filepath.Join(state, File)}
	text, err := os.ReadFile(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b, nil
	case err != nil:
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	info, err := os.Stat(b.path)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others (mode %04o): chmod 600 it, and change the passwords if others could read it", b.path, info.Mode().Perm())
	}
	if err := json.Unmarshal(text, &b.kept); err != nil {
		return nil, fmt.Errorf("read accounts: %s: %w: restore it, or move it away to start anew with a set-up link", b.path, err)
	}
	return b, nil
}

// accountName keeps names of accounts and tokens short and printable.
var accountName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func checkName(name string, role Role) error {
	if !accountName.MatchString(name) {
		return fmt.Errorf("%q is no name: take 1 to 64 letters, digits and . _ @ -", tallyman.Escape(name))
	}
	if role != Viewer && role != Operator && role != Admin {
		return fmt.Errorf("%q is no role: take viewer, operator or admin", tallyman.Escape(string(role)))
	}
	return nil
}

// SetPassword makes the account or gives it a new password; its open sessions end.
func (b *Book) SetPassword(name string, role Role, password string) error {
	if err := checkName(name, role); err != nil {
		return err
	}
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(entry{name, role, hash})
	b.kept.Sessions = slices.DeleteFunc(b.kept.Sessions, func(s session) bool { return s.Account == name })
	return b.save()
}

func (b *Book) put(n entry) {
	b.kept.Accounts = slices.DeleteFunc(b.kept.Accounts, func(x entry) bool { return x.Name == n.Name })
	b.kept.Accounts = append(b.kept.Accounts, n)
}

// AddToken makes a token for a program and returns it; it cannot be read again. A token of the same name is replaced.
func (b *Book) AddToken(name string, role Role, now time.Time) (string, error) {
	if err := checkName(name, role); err != nil {
		return "", err
	}
	text := Secret()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept.Tokens = slices.DeleteFunc(b.kept.Tokens, func(x token) bool { return x.Name == name })
	b.kept.Tokens = append(b.kept.Tokens, token{name, role, hashOf(text), tallyman.Clean(now)})
	return text, b.save()
}

// Remove takes away the account and the token of that name, with its sessions, and reports whether there was one.
func (b *Book) Remove(name string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.kept.Accounts) + len(b.kept.Tokens)
	b.kept.Accounts = slices.DeleteFunc(b.kept.Accounts, func(x entry) bool { return x.Name == name })
	b.kept.Tokens = slices.DeleteFunc(b.kept.Tokens, func(x token) bool { return x.Name == name })
	b.kept.Sessions = slices.DeleteFunc(b.kept.Sessions, func(s session) bool { return s.Account == name })
	if len(b.kept.Accounts)+len(b.kept.Tokens) == before {
		return false, nil
	}
	return true, b.save()
}

// Who lists accounts and tokens with their roles, for people.
func (b *Book) Who() (accounts, tokens map[string]Role) {
	b.mu.Lock()
	defer b.mu.Unlock()
	accounts, tokens = make(map[string]Role), make(map[string]Role)
	for _, x := range b.kept.Accounts {
		accounts[x.Name] = x.Role
	}
	for _, x := range b.kept.Tokens {
		tokens[x.Name] = x.Role
	}
	return accounts, tokens
}

// Locked reports whether some account has a password.
func (b *Book) Locked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.kept.Accounts, func(x entry) bool { return x.Password != "" })
}

// Check compares name and password. An unknown name costs as much time as a wrong password.
func (b *Book) Check(name, password string) bool {
	const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	b.mu.Lock()
	hash := nobody
	if i := slices.IndexFunc(b.kept.Accounts, func(x entry) bool { return x.Name == name }); i >= 0 && b.kept.Accounts[i].Password != "" {
		hash = b.kept.Accounts[i].Password
	}
	b.mu.Unlock()
	return passwordFits(hash, password) && hash != nobody
}

// Begin opens a session of the account, which is made without a password if there is none, and returns the secret of its cookie.
func (b *Book) Begin(name string, now time.Time) (string, error) {
	text := Secret()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.kept.Accounts, func(x entry) bool { return x.Name == name }) {
		b.put(entry{Name: name, Role: Admin})
	}
	b.kept.Sessions = slices.DeleteFunc(b.kept.Sessions, func(s session) bool { return now.After(s.Until) })
	b.kept.Sessions = append(b.kept.Sessions, session{name, hashOf(text), tallyman.Clean(now.Add(SessionLife))})
	if n := len(b.kept.Sessions) - mostSessions; n > 0 {
		b.kept.Sessions = slices.Delete(b.kept.Sessions, 0, n)
	}
	return text, b.save()
}

// End closes the session of the cookie.
func (b *Book) End(text string) error {
	hash := hashOf(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept.Sessions = slices.DeleteFunc(b.kept.Sessions, func(s session) bool { return same(s.Hash, hash) })
	return b.save()
}

// OfSession returns the account whose cookie it is, and whether it has a password.
func (b *Book) OfSession(text string, now time.Time) (who Person, hasPassword, ok bool) {
	hash := hashOf(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.kept.Sessions, func(s session) bool { return same(s.Hash, hash) && now.Before(s.Until) })
	if i < 0 {
		return Person{}, false, false
	}
	j := slices.IndexFunc(b.kept.Accounts, func(x entry) bool { return x.Name == b.kept.Sessions[i].Account })
	if j < 0 {
		return Person{}, false, false
	}
	x := b.kept.Accounts[j]
	return Person{x.Name, x.Role}, x.Password != "", true
}

// OfToken returns the program whose token it is.
func (b *Book) OfToken(text string) (Person, bool) {
	hash := hashOf(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.kept.Tokens, func(t token) bool { return same(t.Hash, hash) })
	if i < 0 {
		return Person{}, false
	}
	return Person{b.kept.Tokens[i].Name, b.kept.Tokens[i].Role}, true
}

// save replaces the file. The caller holds the mutex.
func (b *Book) save() error {
	text, err := json.MarshalIndent(&b.kept, "", "  ")
	if err != nil {
		return fmt.Errorf("write accounts: %w", err)
	}
	return ReplaceFile(b.path, append(text, '\n'), 0o600)
}
