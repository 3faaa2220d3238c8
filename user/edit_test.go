package user

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEditingChangesOneAccountAndNoOtherLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.yaml")
	_, line := newKey(t)
	head := "# accounts of the lab\n\n'ann':            # she\n  root: /srv/ann   # here\n  keys:\n  - '" + line + "'\n\n# the robot\n"
	write(t, file, head)
	if err := Add(file, New{Name: "bob", Password: hashed(t, "correct horse"), Keys: []string{line}, Root: "/srv/it's", Rights: All, Until: "2030-01-01T00:00:00Z"}); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(file)
	if !strings.HasPrefix(string(text), head) {
		t.Errorf("changed: %s", text)
	}
	list, err := Load(file)
	if err != nil || len(list) != 2 || list[1].Name != "bob" || list[1].Root != "/srv/it's" || list[1].Rights != All || len(list[1].Keys()) != 1 || list[1].Until.Year() != 2030 {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := Add(file, New{Name: "bob", Keys: []string{line}}); err == nil || !strings.Contains(err.Error(), "there is an account bob in line 9") {
		t.Errorf("add twice: %v", err)
	}
	hash := hashed(t, "another one")
	for _, name := range []string{"ann", "bob"} {
		if err := SetPassword(file, name, hash); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err = Load(file); err != nil || list[0].password != hash || list[1].password != hash {
		t.Errorf("%+v, %v", list, err)
	}
	if err := Remove(file, "ann"); err != nil {
		t.Fatal(err)
	}
	text, _ = os.ReadFile(file)
	if !strings.HasPrefix(string(text), "# accounts of the lab\n\n\n# the robot\n\"bob\":\n  password: '"+hash+"'\n") {
		t.Errorf("left: %s", text)
	}
	for _, err := range []error{Remove(file, "ann"), SetPassword(file, "ann", hash)} {
		if err == nil || !strings.Contains(err.Error(), "there is no account ann") {
			t.Errorf("got %v", err)
		}
	}
	if err := Remove(file, "bob"); err != nil {
		t.Fatal(err)
	}
	if list, err = Load(file); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestEditingKeepsModeAndLeavesWhatItCannotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.yaml")
	_, line := newKey(t)
	f := func(text, want string, edit func() error) {
		t.Helper()
		write(t, file, text)
		err := edit()
		got, _ := os.ReadFile(file)
		if err == nil || !strings.Contains(err.Error(), want) || string(got) != text {
			t.Errorf("%v\n%s", err, got)
		}
	}
	hash := hashed(t, "correct horse")
	f("ann: {keys: ['"+line+"']}\n", "stands in one line", func() error { return SetPassword(file, "ann", hash) })
	f("ann: {root: x}\n", "not absolute", func() error { return Remove(file, "ann") })
	f("{ann: {keys: ['"+line+"']}}\n", "the line of ann is not found", func() error { return Remove(file, "ann") })
	f("ann:\n  keys: ['"+line+"']\n", "nothing opens", func() error { return Add(file, New{Name: "bob"}) })
	f("", "is no name", func() error { return Add(file, New{Name: "../bob"}) })
	write(t, file, "")
	if err := Add(file, New{Name: "bob", Password: hash, Rights: Read}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := Add(file, New{Name: "bob", Password: hash, Rights: Read}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// FuzzAccounts feeds the parser: what it accepts can be removed, account by account, until nothing is left.
func FuzzAccounts(f *testing.F) {
	f.Add("ann: {keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5cd3PS0tVHW1oDa9hl2y0WXLgnBxF9gVqZbAEXpBRk a]}\n")
	f.Add("anonymous: {root: /srv, quota: {bytes: 1MiB, files: 3}, paths: {/**: [list]}}\n")
	f.Add("'a': {password: $2b$04$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n")
	f.Add("a: &x {root: /}\nb: *x\n---\n")
	none := func(string) ([]byte, error) { return nil, os.ErrNotExist }
	f.Fuzz(func(t *testing.T, text string) {
		accounts, err := parse("f", []byte(text), none)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Errorf("raw bytes in %q", err)
			}
			return
		}
		for name, a := range accounts {
			if a.Name != name || CheckName(name) != nil || a.Rights&^All != 0 || !a.open && a.password == "" && len(a.keys) == 0 {
				t.Errorf("%q gives %+v", text, a)
			}
			a.May("a/b", Read)
		}
	})
}
