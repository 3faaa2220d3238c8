package user

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"tallyman"
)

// New is an account to be added.
type New struct {
	Name     string
	Password string // hash; "" = none
	Keys     []string
	Root     string
	Rights   Right
	Until    string // RFC 3339; "" = never
}

// Load reads a file and returns its accounts, by name.
func Load(file string) ([]*Account, error) {
	e, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(e.accounts), func(a, b *Account) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Add appends an account to the file, which is made if it is not there. All other lines stay as they are.
func Add(file string, n New) error {
	if err := CheckName(n.Name); err != nil {
		return err
	}
	return edit(file, n.Name, func(text string, _ []string, at, _ int) (string, error) {
		if at >= 0 {
			return "", fmt.Errorf("%s: there is an account %s in line %d: change it there, or remove it with tallyman user rm %s", file, n.Name, at+1, n.Name)
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return text + n.yaml(), nil
	})
}

// yaml is the account as lines of the file.
func (n New) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q:\n", n.Name)
	if n.Password != "" {
		fmt.Fprintf(&b, "  password: %s\n", quoted(n.Password))
	}
	if len(n.Keys) > 0 {
		b.WriteString("  keys:\n")
		for _, k := range n.Keys {
			fmt.Fprintf(&b, "    - %s\n", quoted(k))
		}
	}
	if n.Root != "" {
		fmt.Fprintf(&b, "  root: %s\n", quoted(n.Root))
	}
	list := n.Rights.String()
	if n.Rights == 0 {
		list = ""
	}
	fmt.Fprintf(&b, "  permissions: [%s]\n", list)
	if n.Until != "" {
		fmt.Fprintf(&b, "  until: %s\n", quoted(n.Until))
	}
	return b.String()
}

// quoted writes text between single quotation marks, where YAML knows no escapes but the doubled mark.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// SetPassword gives an account another password; hash is that of it.
func SetPassword(file, name, hash string) error {
	return edit(file, name, func(_ string, lines []string, at, end int) (string, error) {
		if at < 0 {
			return "", noAccount(file, name)
		}
		line := "  password: " + quoted(hash)
		for i := at + 1; i < end; i++ {
			if trimmed := strings.TrimLeft(lines[i], " "); strings.HasPrefix(trimmed, "password:") {
				lines[i] = lines[i][:len(lines[i])-len(trimmed)] + strings.TrimSpace(line)
				return strings.Join(lines, "\n"), nil
			}
		}
		rest := strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(lines[at], keyOf(lines[at]))), ":")
		if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
			return "", fmt.Errorf("%s:%d: %s stands in one line: write its keys below each other, then try again", file, at+1, name)
		}
		for i := at + 1; i < end; i++ {
			if trimmed := strings.TrimLeft(lines[i], " "); trimmed != "" && trimmed[0] != '#' {
				line = lines[i][:len(lines[i])-len(trimmed)] + strings.TrimSpace(line)
				break
			}
		}
		return strings.Join(slices.Insert(lines, at+1, line), "\n"), nil
	})
}

// Remove takes an account out of the file.
func Remove(file, name string) error {
	return edit(file, name, func(_ string, lines []string, at, end int) (string, error) {
		if at < 0 {
			return "", noAccount(file, name)
		}
		return strings.Join(slices.Delete(lines, at, end), "\n"), nil
	})
}

func noAccount(file, name string) error {
	return fmt.Errorf("%s: there is no account %s: see tallyman user ls", file, tallyman.Escape(name))
}

// edit changes the lines of one account and nothing else, which is checked before the file is replaced as a whole. The file keeps owner and mode; two who
// edit at once wait for each other.
func edit(file, name string, change func(text string, lines []string, at, end int) (string, error)) error {
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("change accounts: %w", err)
	}
	defer func() { _ = folder.Close() }() // and the lock goes
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("change accounts: lock %s: %w", folder.Name(), err)
	}
	before, err := readFile(file)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("change accounts: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	at, end := find(lines, name)
	if at < 0 && before.accounts[name] != nil {
		return fmt.Errorf("%s: the line of %s is not found: begin the line with its name", file, name)
	}
	after, err := change(string(text), lines, at, end)
	if err != nil {
		return err
	}
	accounts, err := parse(file, []byte(after), os.ReadFile)
	if err != nil {
		return fmt.Errorf("the file was not changed, because it would be wrong: %w", err)
	}
	for _, list := range []map[string]*Account{accounts, before.accounts} {
		delete(list, name)
	}
	if !reflect.DeepEqual(accounts, before.accounts) {
		return fmt.Errorf("%s was not changed: another account than %s would change too; edit it by hand", file, name)
	}
	return replace(file, after)
}

// find returns the line of the account and that behind its last one; -1 if it has none. Comments and empty lines before the next account belong to that.
func find(lines []string, name string) (at, end int) {
	at = -1
	for i, line := range lines {
		switch {
		case line == "" || line[0] == ' ' || line[0] == '#' || line[0] == '-' || line[0] == '\r':
			continue
		case at >= 0:
			return at, back(lines, at, i)
		case nameOf(line) == name:
			at = i
		}
	}
	return at, back(lines, at, len(lines))
}

func back(lines []string, at, end int) int {
	for end > at+1 && (strings.TrimSpace(lines[end-1]) == "" || lines[end-1][0] == '#') {
		end--
	}
	return max(end, at)
}

// keyOf returns the key as it is written at the begin of a line.
func keyOf(line string) string {
	if q, err := strconv.QuotedPrefix(line); err == nil {
		return q
	}
	if strings.HasPrefix(line, "'") {
		if i := strings.IndexByte(line[1:], '\''); i >= 0 {
			return line[:i+2]
		}
	}
	key, _, _ := strings.Cut(line, ":")
	return key
}

func nameOf(line string) string { return strings.Trim(keyOf(line), `"' `) }

// replace writes the file as a whole or not at all.
func replace(file, text string) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("change accounts: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone after the rename
	_, err = f.WriteString(text)
	err = errors.Join(err, dressLike(f, file), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("change accounts: %w", err)
	}
	return nil
}

// dressLike gives the new file owner and mode of the old one, or the owner of the folder: whoever serves must be able to read it.
func dressLike(f *os.File, old string) error {
	info, err := os.Stat(old)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = os.Stat(filepath.Dir(old)); err != nil {
			return err
		}
	} else if err != nil {
		return err
	} else if err := f.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return f.Chown(int(sys.Uid), int(sys.Gid))
	}
	return nil
}
