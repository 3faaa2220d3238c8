package user

import (
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/acl"
	"tallyman/config"
	"tallyman/user/password"
)

// fields is the table of keys of an account.
func (r *reader) fields(a *Account) map[string]func(ast.Node) {
	return map[string]func(ast.Node){
		"password": func(n ast.Node) {
			hash := r.one(n, "password: $argon2id$...")
			if err := password.Check(hash); hash != "" && err != nil {
				r.add(n, "the password %v", err)
				return
			}
			a.password = hash
		},
		"keys":      func(n ast.Node) { r.keyLines(n, r.list(n, "keys: [ssh-ed25519 AAAA... ann@laptop]"), a) },
		"keys_file": func(n ast.Node) { r.keyFile(n, a) },
		"root":      func(n ast.Node) { a.Root = r.one(n, "root: /srv/ftp") },
		"allow": func(n ast.Node) {
			words := r.list(n, "allow: [private, 203.0.113.0/24]")
			list, err := acl.Parse(words, "the allow list of "+a.Name)
			if err != nil {
				r.add(n, "%v", err)
			}
			if len(words) == 0 {
				r.add(n, "allow is empty, nobody could log in: write private, any, or networks")
			}
			a.Allow = list
		},
		"permissions": func(n ast.Node) { a.Rights = r.rights(n) },
		"paths":       func(n ast.Node) { r.paths(n, a) },
		"tls_reuse": func(n ast.Node) {
			v, ok := n.(*ast.BoolNode)
			if !ok {
				r.add(n, "tls_reuse is true or false")
				return
			}
			a.TLSReuse = v.Value
		},
		"until": func(n ast.Node) {
			at, err := time.Parse(time.RFC3339, r.one(n, "until: 2027-01-31T18:00:00Z"))
			if err != nil {
				r.add(n, "until is no time: write it as in until: 2027-01-31T18:00:00Z")
			}
			a.Until = at
		},
		"logins": func(n ast.Node) { a.Logins = int(r.count(n, "logins: 4")) },
		"quota": func(n ast.Node) {
			r.inner(n, "quota", map[string]func(ast.Node){
				"bytes": func(n ast.Node) { a.QuotaBytes = r.size(n, "bytes: 10GiB") },
				"files": func(n ast.Node) { a.QuotaFiles = r.count(n, "files: 10000") },
			})
		},
		"bandwidth": func(n ast.Node) {
			r.inner(n, "bandwidth", map[string]func(ast.Node){
				"up":   func(n ast.Node) { a.Up = r.size(n, "up: 10MiB (a second)") },
				"down": func(n ast.Node) { a.Down = r.size(n, "down: 10MiB (a second)") },
			})
		},
	}
}

func (r *reader) inner(n ast.Node, name string, known map[string]func(ast.Node)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.add(n, "%s is a section with the keys %s", name, strings.Join(slices.Sorted(keysOf(known)), " "))
		return
	}
	r.section(m, known, name+".")
}

// one reads text; eg is a right line.
func (r *reader) one(n ast.Node, eg string) string {
	s, ok := text(n)
	if !ok || strings.TrimSpace(s) == "" {
		r.add(n, "expected text, as in %s", eg)
		return ""
	}
	return strings.TrimSpace(s)
}

// list reads words, or the one word that stands for a list of one.
func (r *reader) list(n ast.Node, eg string) []string {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		if s := r.one(n, eg); s != "" {
			return []string{s}
		}
		return nil
	}
	var out []string
	for _, v := range seq.Values {
		if s := r.one(v, eg); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (r *reader) count(n ast.Node, eg string) int64 {
	token := n.GetToken().Value
	v, err := strconv.ParseInt(token, 10, 64)
	if _, ok := n.(*ast.IntegerNode); !ok || err != nil || v < 1 || token != strconv.FormatInt(v, 10) {
		r.add(n, "expected a whole number from 1 on, as in %s", eg)
		return 0
	}
	return v
}

func (r *reader) size(n ast.Node, eg string) int64 {
	var s config.Size
	if err := s.UnmarshalText([]byte(n.GetToken().Value)); err != nil || s < 1 {
		r.add(n, "%q is no size from 1B on, as in %s", tallyman.Escape(n.GetToken().Value), eg)
		return 0
	}
	return int64(s)
}

func (r *reader) rights(n ast.Node) Right {
	var out Right
	if seq, ok := n.(*ast.SequenceNode); ok && len(seq.Values) == 0 {
		return 0
	}
	for _, word := range r.list(n, "permissions: [read, list]") {
		right, ok := parseRight(word)
		if !ok {
			r.add(n, "%q is no permission, known: all %s", tallyman.Escape(word), strings.Join(rightNames, " "))
			continue
		}
		out |= right
	}
	return out
}

func (r *reader) paths(n ast.Node, a *Account) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.add(n, "paths is a section of patterns, as in paths: {/incoming/**: [create, list]}")
		return
	}
	for _, pair := range m.Values {
		pattern, ok := text(pair.Key)
		if !ok || !strings.HasPrefix(pattern, "/") {
			r.add(pair.Key, "a pattern begins with / and counts from the root of the account, as in /incoming/**")
			continue
		}
		for _, element := range elements(pattern) {
			if _, err := path.Match(element, ""); err != nil || element == ".." || element != "**" && strings.Contains(element, "**") {
				r.add(pair.Key, "the pattern %s cannot be read: ** stands alone between slashes, [ needs its ]", tallyman.Escape(pattern))
			}
		}
		a.Paths = append(a.Paths, Path{pattern, r.rights(pair.Value)})
	}
}

func (r *reader) keyFile(n ast.Node, a *Account) {
	file := r.one(n, "keys_file: /etc/tallyman/ann.keys")
	if file == "" {
		return
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(r.file), file)
	}
	content, err := r.keys(file)
	if err != nil {
		r.add(n, "keys_file: %v", err)
		return
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	r.keyLines(n, lines, a)
}

// keyLines reads lines of authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
func (r *reader) keyLines(n ast.Node, lines []string, a *Account) {
	for i, line := range lines {
		k, why := parseKey(line, a.Name)
		if why != "" {
			r.add(n, "key %d %s", i+1, why)
			continue
		}
		a.keys = append(a.keys, k)
	}
}

func parseKey(line, account string) (key, string) {
	pub, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(rest) > 0 {
		return key{}, "is no line of authorized_keys: paste a .pub file, as in ssh-ed25519 AAAA... ann@laptop"
	}
	if why := weak(pub); why != "" {
		return key{}, "(" + tallyman.Escape(comment) + ") " + why
	}
	k := key{wire: string(pub.Marshal()), shown: ssh.FingerprintSHA256(pub)}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "restrict", "no-port-forwarding", "no-x11-forwarding", "no-agent-forwarding", "no-pty", "no-user-rc":
			// nothing of that is ever allowed here
		case "cert-authority":
			k.authority = true
		case "principals":
			k.principals = strings.Split(value, ",")
		case "from":
			list, err := acl.Parse(strings.Split(value, ","), "from= of a key of "+account)
			if err != nil {
				return key{}, "has a from= that cannot be read here: " + err.Error()
			}
			k.from = &list
		default:
			return key{}, "has the option " + tallyman.Escape(name) + ", which is not known here (known: restrict no-* from= cert-authority principals=): remove it"
		}
	}
	if k.principals != nil && !k.authority {
		return key{}, "has principals= without cert-authority"
	}
	return k, ""
}

// fits reports whether the key opens the account from the address.
func (k *key) fits(wire string, authority bool, from netip.Addr) bool {
	if k.authority != authority || k.wire != wire {
		return false
	}
	if k.from != nil {
		ok, _ := k.from.Allow(from)
		return ok
	}
	return true
}
