package user

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/acl"
)

// Right is a set of things that somebody may do.
type Right uint8

// The rights.
const (
	Read      Right = 1 << iota // read a file
	Write                       // append to a file, change a part of it, its times and its mode
	Create                      // store a file under a new name, make a folder or a link
	Overwrite                   // store or rename onto a name that is taken
	Delete                      // remove files and folders
	Rename                      // take a name away from a file to give it another one
	List                        // see what is in a folder
)

// All is every right.
const All = Read | Write | Create | Overwrite | Delete | Rename | List

// rightNames is in the order of the bits.
var rightNames = []string{"read", "write", "create", "overwrite", "delete", "rename", "list"}

// String lists the rights as the file spells them.
func (r Right) String() string {
	var out []string
	for i, name := range rightNames {
		if r&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	if out == nil {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// ParseRights reads rights as a command line has them: separated by commas.
func ParseRights(text string) (Right, error) {
	var out Right
	for word := range strings.SplitSeq(text, ",") {
		r, ok := parseRight(strings.TrimSpace(word))
		if !ok {
			return 0, fmt.Errorf("%q is no permission, known: all %s", tallyman.Escape(word), strings.Join(rightNames, " "))
		}
		out |= r
	}
	return out, nil
}

func parseRight(word string) (Right, bool) {
	if word == "all" {
		return All, true
	}
	i := slices.Index(rightNames, word)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// Account is one user as the file says. It is not changed after it was read.
type Account struct {
	Name  string
	Root  string // absolute; "" = the root of the server
	Allow acl.List
	// Rights count where no path says otherwise.
	Rights Right
	Paths  []Path
	// TLSReuse wants data connections of FTPS to resume the session of the control connection.
	TLSReuse bool
	// Until is when the account ends; zero: never.
	Until time.Time
	// Logins at one time; 0 = any number.
	Logins int
	// Bytes and Files that may lie below the root; 0 = any number.
	QuotaBytes, QuotaFiles int64
	// Up and Down are bytes a second of all logins of the account together; 0 = no bound.
	Up, Down int64

	password string // hash; "" = none fits
	keys     []key
	open     bool // anonymous: any password fits
}

// Path gives other rights to what a pattern matches.
type Path struct {
	Pattern string
	Rights  Right
}

// key is a public key that opens an account, or a CA whose certificates do.
type key struct {
	wire       string // marshalled
	authority  bool
	principals []string // of an authority; nil = the name of the account
	from       *acl.List
	shown      string // fingerprint
}

// Anonymous reports an account that needs no password.
func (a *Account) Anonymous() bool { return a.open }

// May reports whether the account may do all that is asked to what lies at a path below its root, written with slashes, "" or "." for the root
// itself. The first pattern that matches decides.
func (a *Account) May(at string, asked Right) bool {
	rights := a.Rights
	for _, p := range a.Paths {
		if match(p.Pattern, at) {
			rights = p.Rights
			break
		}
	}
	return rights&asked == asked
}

// RulesBelow reports whether a pattern may match what lies below the path and does not match the path itself: what lies there has permissions of its own, which it
// would lose in another place. A pattern that begins with ** means the same in every place.
func (a *Account) RulesBelow(at string) bool {
	above := elements(at)
	return slices.ContainsFunc(a.Paths, func(p Path) bool {
		e := elements(p.Pattern)
		return len(e) > 0 && e[0] != "**" && !matchElements(e, above) && reachesBelow(e, above)
	})
}

// reachesBelow reports whether a pattern may match something below a path.
func reachesBelow(pattern, above []string) bool {
	for i, e := range above {
		if i == len(pattern) {
			return false
		}
		if pattern[i] == "**" {
			return true
		}
		if ok, err := path.Match(pattern[i], e); !ok || err != nil {
			return false
		}
	}
	return len(pattern) > len(above)
}

// match compares a path with a pattern, element by element: ** stands for any number of elements, * and ? for parts of one (path.Match).
func match(pattern, at string) bool {
	return matchElements(elements(pattern), elements(at))
}

func elements(p string) []string {
	p = strings.Trim(p, "/")
	if p == "" || p == "." {
		return nil
	}
	return strings.Split(p, "/")
}

func matchElements(pattern, at []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for skip := 0; skip <= len(at); skip++ {
				if matchElements(pattern[1:], at[skip:]) {
					return true
				}
			}
			return false
		}
		if len(at) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], at[0]); err != nil || !ok {
			return false
		}
		pattern, at = pattern[1:], at[1:]
	}
	return len(at) == 0
}

// Keys returns the fingerprints of the keys, for people.
func (a *Account) Keys() []string {
	out := make([]string, len(a.keys))
	for i, k := range a.keys {
		out[i] = k.shown
	}
	return out
}

// HasPassword reports whether a password opens the account.
func (a *Account) HasPassword() bool { return a.password != "" }

// weak says why a key is not good enough, "" if it is.
func weak(k ssh.PublicKey) string {
	switch k.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return ""
	case ssh.KeyAlgoRSA:
		if len(k.Marshal()) < 4+7+4+3+4+256 { // RFC 4253, section 6.6: the modulus has 256 bytes in a key of 2048 bits
			return "is an RSA key of less than 2048 bits: make a new one with ssh-keygen -t ed25519"
		}
		return ""
	default:
		return "is of the type " + k.Type() + ", which is not taken: make a new one with ssh-keygen -t ed25519"
	}
}
