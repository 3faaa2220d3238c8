package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/sys/unix"

	"tallyman/client/remote"
	"tallyman/client/sftp"
)

var errNoTerminal = errors.New("standard input is no terminal")

// askSecret asks a person for what is not shown while it is typed.
func (p *program) askSecret(ask string) (string, error) {
	f, ok := p.stdin.(*os.File)
	if !ok {
		return "", errNoTerminal
	}
	was, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return "", errNoTerminal
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &quiet); err != nil {
		return "", fmt.Errorf("switch the echo of the terminal off: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, was) }() // as it was
	fmt.Fprint(p.stderr, ask)
	typed, err := readLine(f)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprintln(p.stderr)
	return typed, nil
}

// givenPassword is the one of --password-file or of netrc. A user that the URL does not name may come from netrc too.
func (p *program) givenPassword(f *remoteFlags, place remote.Place) (user, password string, known bool, err error) {
	switch f.passwordFile {
	case "":
		return fromNetrc(place)
	case "-":
		password, err = readLine(p.stdin)
	default:
		var text []byte
		if text, err = os.ReadFile(f.passwordFile); err == nil {
			password, _, _ = strings.Cut(string(text), "\n")
			password = strings.TrimSuffix(password, "\r")
		}
	}
	if err != nil {
		return "", "", false, fmt.Errorf("read the password: %w", err)
	}
	return place.User, password, true, nil
}

// ftpLogin is who logs in; nobody is anonymous.
func (p *program) ftpLogin(f *remoteFlags, place remote.Place) (user, password string, err error) {
	user, password, known, err := p.givenPassword(f, place)
	switch {
	case err != nil:
		return "", "", err
	case user == "" && known:
		return "", "", usage("a password needs a user: write %s://USER@%s/", place.Scheme, place.Host)
	case known || place.User == "":
		return user, password, nil
	}
	password, err = p.askSecret("Password of " + place.User + " at " + place.Host + ": ")
	if errors.Is(err, errNoTerminal) {
		return "", "", usage("the password of %s is not known, and %v: use --password-file, or ~/.netrc", place.User, err)
	}
	return place.User, password, err
}

// fromNetrc looks for the host, and the user if one is named.
func fromNetrc(place remote.Place) (user, password string, known bool, err error) {
	file := os.Getenv("NETRC")
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return place.User, "", false, nil
		}
		file = filepath.Join(home, ".netrc")
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return place.User, "", false, nil
	} else if err != nil {
		return "", "", false, fmt.Errorf("read the passwords: %w", err)
	}
	login, password, known := netrc(string(text), place.Host, place.User)
	if !known {
		return place.User, "", false, nil
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm()&0o077 != 0 {
		return "", "", false, fmt.Errorf("%s can be read by others: chmod 600 it, or use --password-file", file)
	}
	return login, password, true, nil
}

// netrc finds the first entry of a host, or the default, whose login is the user, or any if none is named (ftp(1), the .netrc file). A macro
// ends at an empty line.
func netrc(text, host, user string) (login, password string, known bool) {
	var macro bool
	var words []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if macro = macro && len(fields) > 0; macro || len(fields) > 0 && strings.HasPrefix(fields[0], "#") {
			continue
		}
		for i, w := range fields {
			if w == "macdef" {
				macro, fields = true, fields[:i]
				break
			}
		}
		words = append(words, fields...)
	}
	here := false
	var has bool
	fits := func() bool { return here && has && (user == "" || login == user) }
	for i := 0; i < len(words); i++ {
		next := func() string {
			if i++; i < len(words) {
				return words[i]
			}
			return ""
		}
		switch words[i] {
		case "machine", "default":
			if fits() {
				return login, password, true
			}
			here, has, login, password = words[i] == "default" || next() == host, false, "", ""
		case "login":
			login = next()
		case "password":
			password, has = next(), true
		case "account":
			next()
		}
	}
	return login, password, fits()
}

// sftpRequest says who logs in, how, and whom to believe.
func (p *program) sftpRequest(f *remoteFlags, place remote.Place, check remote.Check) (sftp.Request, error) {
	r := sftp.Request{Check: check, Resume: f.resume, Trust: sftp.Trust{Known: f.knownHosts, AcceptNew: f.acceptNew, Fingerprint: f.fingerprint, Insecure: f.insecure}}
	if f.fingerprint != "" && !strings.HasPrefix(f.fingerprint, "SHA256:") {
		return r, usage("--fingerprint %q is none of a host key: write it as ssh-keygen -l does, SHA256:...", f.fingerprint)
	}
	home, err := os.UserHomeDir()
	if err != nil && f.knownHosts == "" {
		return r, fmt.Errorf("find the known hosts: %w: use --known-hosts", err)
	}
	if f.knownHosts == "" {
		r.Trust.Known = filepath.Join(home, ".ssh", "known_hosts")
	}
	named, password, known, err := p.givenPassword(f, place)
	if err != nil {
		return r, err
	}
	if place.User = named; named == "" {
		me, err := user.Current()
		if err != nil {
			return r, usage("who logs in is not known: write sftp://USER@%s/", place.Host)
		}
		place.User = me.Username
	}
	r.Place = place
	signers, err := p.signers(f.identities, filepath.Join(home, ".ssh"))
	if err != nil {
		return r, err
	}
	if len(signers) > 0 {
		r.Auth = append(r.Auth, ssh.PublicKeys(signers...))
	}
	secret := func() (string, error) {
		if known {
			return password, nil
		}
		typed, err := p.askSecret("Password of " + place.User + " at " + place.Host + ": ")
		if errors.Is(err, errNoTerminal) {
			err = fmt.Errorf("no key opens the account, and %w for a password: use --identity, --password-file or ~/.netrc", err)
		}
		return typed, err
	}
	r.Auth = append(r.Auth, ssh.PasswordCallback(secret), ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
		if len(questions) == 0 {
			return nil, nil
		}
		if len(questions) > 1 || echos[0] {
			return nil, errors.New("the server asks for more than a password")
		}
		answer, err := secret()
		return []string{answer}, err
	}))
	return r, nil
}

// signers are the keys of the files, or those of the agent and of the usual places.
func (p *program) signers(files []string, folder string) ([]ssh.Signer, error) {
	var out []ssh.Signer
	for _, file := range files {
		s, err := p.identity(file)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(files) > 0 {
		return out, nil
	}
	if at := os.Getenv("SSH_AUTH_SOCK"); at != "" {
		if conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: at, Net: "unix"}); err == nil { // it stays open until the program ends: the keys sign through it
			if keys, err := agent.NewClient(conn).Signers(); err == nil {
				out = append(out, keys...)
			}
		}
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			continue
		}
		if s, err := ssh.ParsePrivateKey(text); err == nil { // one with a passphrase is for the agent, or for --identity
			out = append(out, s)
		}
	}
	return out, nil
}

// identity reads a private key, and the certificate beside it.
func (p *program) identity(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read --identity: %w", err)
	}
	s, err := ssh.ParsePrivateKey(text)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		phrase, aerr := p.askSecret("Passphrase of " + file + ": ")
		if aerr != nil {
			return nil, fmt.Errorf("%s has a passphrase, and %w: add it to the agent with ssh-add", file, aerr)
		}
		s, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(phrase))
	}
	if err != nil {
		return nil, fmt.Errorf("read --identity %s: %w", file, err)
	}
	line, err := os.ReadFile(file + "-cert.pub")
	if err != nil {
		return s, nil //nolint:nilerr // most keys have no certificate
	}
	k, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if cert, ok := k.(*ssh.Certificate); ok && err == nil {
		return ssh.NewCertSigner(cert, s)
	}
	return nil, fmt.Errorf("%s-cert.pub holds no certificate", file)
}
