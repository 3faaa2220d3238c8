package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestASmallFileIsReplacedAsAWholeOrNotAtAll(t *testing.T) {
	d := &Folder{Dir: t.TempDir()}
	if err := d.Save("marks", map[string]int{"join": 1}); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"create", "write", "sync", "rename"} {
		failing := &Folder{Dir: d.Dir, Step: func(o, _ string) error {
			if o == op {
				return syscall.EIO
			}
			return nil
		}}
		if err := failing.Save("marks", map[string]int{"join": 2}); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrSync) != (op == "sync") {
			t.Error(op, err)
		}
		var got map[string]int
		if ok, damaged := d.Load("marks", &got); !ok || damaged || got["join"] != 1 {
			t.Error(op, got, ok, damaged)
		}
	}
}

func TestASmallFileWithAnyByteChangedIsDamaged(t *testing.T) {
	d := &Folder{Dir: t.TempDir()}
	var got map[string]int
	if ok, damaged := d.Load("marks", &got); ok || damaged {
		t.Error("a file that is missing is not damaged")
	}
	if err := d.Save("marks", map[string]int{"join": 12345}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(d.Path("marks"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 1
		for what, b := range map[string][]byte{"changed": b, "cut": whole[:i]} {
			if err := os.WriteFile(d.Path("marks"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			if ok, damaged := d.Load("marks", &got); ok || !damaged {
				t.Errorf("%s at %d: %q is accepted", what, i, b)
			}
		}
	}
}

func TestOnlyAFullDiskPassesAndAFailedSyncNever(t *testing.T) {
	f := func(err error, want bool) {
		t.Helper()
		if got := Passes(fmt.Errorf("write: %w", err)); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	f(syscall.ENOSPC, true)
	f(syscall.EDQUOT, true)
	f(syscall.EMFILE, true)
	f(syscall.EIO, false)
	f(syscall.EROFS, false)
	f(fmt.Errorf("%w: %w", ErrSync, syscall.ENOSPC), false)
}

func TestABlockThatCannotBeReadIsZerosAndTheOthersAreNot(t *testing.T) {
	content := []byte(strings.Repeat("x", 3*4096))
	d := &Folder{Dir: t.TempDir()}
	if err := os.WriteFile(d.Path("f"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := d.Open("f", os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	fails := 2 // the whole read, then its first block
	d.Step = func(op, _ string) error {
		if op == "read" && fails > 0 {
			fails--
			return syscall.EIO
		}
		return nil
	}
	got := make([]byte, len(content))
	at := 0
	for at < len(got) {
		n, err := d.Reading(f).ReadAt(got[at:], int64(at))
		if n == 0 {
			t.Fatal(at, err)
		}
		at += n
	}
	clear(content[:4096])
	if string(got) != string(content) {
		t.Error("the first block is zeros, and nothing else")
	}
	if _, err := d.Reading(f).ReadAt(got, int64(len(content))); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	d.Step = func(string, string) error { return syscall.ESTALE }
	if _, err := d.Reading(f).ReadAt(got, 0); !errors.Is(err, syscall.ESTALE) {
		t.Error("an error that is not of the disk is none to look away from:", err)
	}
}

func TestNoOperationHappensWhenTheStepSaysNo(t *testing.T) {
	no := errors.New("no")
	d := &Folder{Dir: t.TempDir()}
	if err := os.WriteFile(d.Path("f"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := d.Open("f", os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d.Step = func(string, string) error { return no }
	_, oerr := d.Open("g", os.O_CREATE|os.O_RDWR)
	_, lerr := d.Lock()
	for what, err := range map[string]error{
		"open": oerr, "lock": lerr, "make": d.Make(), "write": d.Write(f, []byte("new"), 0), "sync": d.Sync(f), "syncdir": d.SyncDir(),
		"rename": d.Rename("f", "h"), "remove": d.Remove("f"), "cut": d.Cut(f, 0),
	} {
		if !errors.Is(err, no) {
			t.Error(what, err)
		}
	}
	d.Reserve(f, 1<<20)
	if b, err := os.ReadFile(d.Path("f")); err != nil || string(b) != "old" {
		t.Errorf("%q %v", b, err)
	}
	if names, err := os.ReadDir(d.Dir); err != nil || len(names) != 1 {
		t.Error(names, err)
	}
}
