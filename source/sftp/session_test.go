package sftp

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/sftp/packet"
)

// names reads a folder until its end.
func (c *client) names(path string) (names, longs []string) {
	c.Helper()
	kind, body := c.ask(packet.Request{Type: packet.Opendir, Path: path})
	if kind != packet.Handle {
		c.Fatalf("opendir %q: type %d %q", path, kind, body)
	}
	h := string(body[4:])
	for {
		kind, body := c.ask(packet.Request{Type: packet.Readdir, Handle: h})
		if kind != packet.Name {
			c.closes(h, packet.OK)
			return names, longs
		}
		n := binary.BigEndian.Uint32(body)
		body = body[4:]
		take := func() string {
			l := binary.BigEndian.Uint32(body)
			s := string(body[4 : 4+l])
			body = body[4+l:]
			return s
		}
		for range n {
			names, longs = append(names, take()), append(longs, take())
			body = body[4+8+8+4+8:]
		}
	}
}

func TestListingTellsNamesAsTheyAreAndLinesThatCannotBeForged(t *testing.T) {
	r := serve(t, "", nil)
	evil := "a\n-rw-r--r-- 1 0 0 0 forged\r"
	r.file(evil, "x")
	r.file("sub/f", "")
	r.file(".kept/f-2020-04-20-11-05-37-345", "")
	for i := range 250 {
		r.file("many/"+itoa(i), "")
	}
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(r.root, "out")), os.Symlink("sub", filepath.Join(r.root, "in"))); err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	names, longs := c.names("/")
	if strings.Join(names, " ") != evil+" in many sub" {
		t.Errorf("%q", names)
	}
	if !strings.HasPrefix(longs[0], "-rw-r--r--    1 ") || !strings.HasSuffix(longs[0], ` a\n-rw-r--r-- 1 0 0 0 forged\r`) || !strings.HasPrefix(longs[3], "drwxr-xr-x") {
		t.Errorf("%q", longs)
	}
	if e := r.wait(tallyman.KindClosed); e.Op != tallyman.OpList || e.Name != "/" || e.Reason != tallyman.ClosedWell || e.Path != r.root+"/" {
		t.Errorf("%+v", e)
	}
	if names, _ := c.names("many/../many/."); len(names) != 250 {
		t.Errorf("%d names", len(names))
	}
	c.says(packet.Request{Type: packet.Opendir, Path: "none"}, packet.NoSuchFile)
	c.says(packet.Request{Type: packet.Opendir, Path: ".kept"}, packet.NoSuchFile)
	c.says(packet.Request{Type: packet.Stat, Path: "out"}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Symlink, Path: "/etc/passwd", Target: "x"}, packet.Unsupported)
	c.says(packet.Request{Type: packet.Readlink, Path: "in"}, packet.Unsupported)
}

func TestRenameTakesNoNameThatIsTakenAndPosixRenameKeeps(t *testing.T) {
	r := serve(t, "", nil)
	r.file("a", "a")
	r.file("b", "b")
	c := r.dial()
	c.says(packet.Request{Type: packet.Rename, Path: "a", Target: "b"}, packet.Failure)
	if e := r.wait(tallyman.KindRefusal); e.Op != tallyman.OpRename || e.Reason != tallyman.Exists || e.Name != "a" {
		t.Errorf("%+v", e)
	}
	c.says(packet.Request{Type: packet.Extended, Extension: packet.PosixRename, Path: "a", Target: "b"}, packet.OK)
	e := r.wait(tallyman.KindClosed)
	if e.Op != tallyman.OpRename || e.From != r.root+"/a" || e.Path != r.root+"/b" || !strings.Contains(e.Details, ".kept/b-") || r.content("b") != "a" {
		t.Errorf("%+v", e)
	}
	c.says(packet.Request{Type: packet.Rename, Path: "b", Target: "d/c"}, packet.NoSuchFile)
	c.says(packet.Request{Type: packet.Mkdir, Path: "d"}, packet.OK)
	c.says(packet.Request{Type: packet.Mkdir, Path: "d"}, packet.Failure)
	c.says(packet.Request{Type: packet.Rename, Path: "b", Target: "d/c"}, packet.OK)
	c.says(packet.Request{Type: packet.Extended, Extension: packet.Hardlink, Path: "d/c", Target: "e"}, packet.OK)
	c.says(packet.Request{Type: packet.Rmdir, Path: "d"}, packet.PermissionDenied) // not empty
	c.says(packet.Request{Type: packet.Remove, Path: "d/c"}, packet.OK)
	c.says(packet.Request{Type: packet.Rmdir, Path: "d"}, packet.OK)
	c.says(packet.Request{Type: packet.Remove, Path: "d/c"}, packet.NoSuchFile)
	if r.content("e") != "a" {
		t.Error("the second name is gone")
	}
}

func TestAttributesAreTakenAndTold(t *testing.T) {
	r := serve(t, "", nil)
	c := r.dial()
	h := c.open("f", fresh)
	c.write(h, 0, "content")
	set := packet.Attrs{Flags: packet.HasMode | packet.HasTimes, Mode: 0o100751, MTime: 1_600_000_000, ATime: 1}
	c.says(packet.Request{Type: packet.Fsetstat, Handle: h, Attrs: set}, packet.OK)
	c.says(packet.Request{Type: packet.Extended, Extension: packet.Fsync, Handle: h}, packet.OK)
	c.says(packet.Request{Type: packet.Fsetstat, Handle: h, Attrs: packet.Attrs{Flags: packet.HasOwner, UID: 4711}}, packet.PermissionDenied)
	own := packet.Attrs{Flags: packet.HasOwner, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	c.says(packet.Request{Type: packet.Fsetstat, Handle: h, Attrs: own}, packet.OK)
	c.closes(h, packet.OK)
	if e := r.ends(tallyman.OpPut, "f", tallyman.ClosedWell, 7); !strings.Contains(e.Details, `"fsync":true`) {
		t.Errorf("%s", e.Details)
	}
	info, err := os.Stat(filepath.Join(r.root, "f"))
	if err != nil || info.Mode().Perm() != 0o751 || info.ModTime().Unix() != 1_600_000_000 {
		t.Errorf("%v, %v", info, err)
	}
	set.Mode, set.MTime = 0o104644, 1_500_000_000
	c.says(packet.Request{Type: packet.Setstat, Path: "f", Attrs: set}, packet.OK)
	c.says(packet.Request{Type: packet.Setstat, Path: "f", Attrs: own}, packet.OK)
	own.UID++
	c.says(packet.Request{Type: packet.Setstat, Path: "f", Attrs: own}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Setstat, Path: "f", Attrs: packet.Attrs{Flags: packet.HasSize, Size: 3}}, packet.Unsupported)
	kind, body := c.ask(packet.Request{Type: packet.Lstat, Path: "/x/../f"})
	if kind != packet.Attributes || binary.BigEndian.Uint64(body[4:]) != 7 || binary.BigEndian.Uint32(body[20:]) != unix.S_IFREG|0o644 || binary.BigEndian.Uint32(body[28:]) != 1_500_000_000 {
		t.Errorf("type %d %x", kind, body)
	}
	if kind, body = c.ask(packet.Request{Type: packet.Extended, Extension: packet.StatVFS, Path: "/"}); kind != packet.ExtendedReply || len(body) != 88 {
		t.Errorf("type %d %x", kind, body)
	}
	kind, body = c.ask(packet.Request{Type: packet.Extended, Extension: packet.Limits})
	if kind != packet.ExtendedReply || binary.BigEndian.Uint64(body) != 256<<10 || binary.BigEndian.Uint64(body[8:]) != 255<<10 || binary.BigEndian.Uint64(body[24:]) != 256 {
		t.Errorf("type %d %x", kind, body)
	}
	for path, want := range map[string]string{"": "/", ".": "/", "/a/../..": "/", "a//b/./c": "/a/b/c", "..": "/"} {
		if kind, body := c.ask(packet.Request{Type: packet.Realpath, Path: path}); kind != packet.Name || !strings.HasPrefix(string(body[8:]), want+"\x00") {
			t.Errorf("%q is %q", path, body)
		}
	}
}

func TestPermissionsCountForNamesAndForWhereTheyLead(t *testing.T) {
	r := serve(t, "permissions: [read, list]\npaths:\n  /in/**: [create, list]\n  /secret/**: []\n  /log: [read, list, write]", nil)
	r.file("f", "f")
	r.file("in/old", "old")
	r.file("secret/key", "key")
	r.file("log", "log")
	if err := errors.Join(os.Symlink("secret", filepath.Join(r.root, "pub")), os.Symlink("../secret", filepath.Join(r.root, "in/way"))); err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	denied := func(q packet.Request) {
		t.Helper()
		c.says(q, packet.PermissionDenied)
	}
	get := func(path string) packet.Request {
		return packet.Request{Type: packet.Open, Path: path, Flags: packet.FlagRead}
	}
	put := func(path string) packet.Request { return packet.Request{Type: packet.Open, Path: path, Flags: fresh} }
	c.closes(c.open("f", packet.FlagRead), packet.OK)
	denied(put("new"))
	denied(put("f"))
	denied(packet.Request{Type: packet.Remove, Path: "f"})
	denied(packet.Request{Type: packet.Rename, Path: "f", Target: "in/f"})
	denied(packet.Request{Type: packet.Mkdir, Path: "d"})
	denied(packet.Request{Type: packet.Setstat, Path: "f", Attrs: packet.Attrs{Flags: packet.HasMode, Mode: 0o777}})
	c.closes(c.open("in/new", fresh), packet.OK)
	denied(put("in/old"))
	denied(get("in/new"))
	c.says(packet.Request{Type: packet.Mkdir, Path: "in/d"}, packet.OK)
	denied(get("secret/key"))
	denied(get("pub/key"))
	denied(put("in/way/new"))
	denied(packet.Request{Type: packet.Mkdir, Path: "in/way/d"})
	denied(packet.Request{Type: packet.Opendir, Path: "pub"})
	denied(packet.Request{Type: packet.Opendir, Path: "secret"})
	denied(packet.Request{Type: packet.Stat, Path: "secret/key"})
	denied(packet.Request{Type: packet.Stat, Path: "pub/key"})
	c.closes(c.open("log", packet.FlagWrite|packet.FlagAppend), packet.OK)
	denied(put("log"))
	if e := r.wait(tallyman.KindRefusal); e.Reason != tallyman.Policy || e.Err != "ann may not create /new (permissions in the file of accounts)" {
		t.Errorf("%+v", e)
	}
}

func TestFolderWithOtherPermissionsBelowIsNotRenamed(t *testing.T) {
	r := serve(t, "permissions: all\npaths: {/a/secret/**: [], /a/b/secret/**: [], /*/*/hidden/**: []}", nil)
	r.file("a/secret/key", "key")
	r.file("a/b/secret/key", "key")
	r.file("x/y/hidden/key", "key")
	r.file("file", "f")
	r.file("b/f", "f")
	if err := os.Symlink("a", filepath.Join(r.root, "around")); err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	c.says(packet.Request{Type: packet.Rename, Path: "around/b", Target: "c"}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Rename, Path: "x", Target: "c"}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Rename, Path: "a", Target: "c"}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Rename, Path: "b/f", Target: "c"}, packet.OK)
	c.says(packet.Request{Type: packet.Rename, Path: "file", Target: "other"}, packet.OK) // the pattern is for what lies in folders
	if e := r.wait(tallyman.KindRefusal); e.Reason != tallyman.Policy || !strings.Contains(e.Err, "other permissions below /a/b") {
		t.Errorf("%+v", e)
	}
}

func TestHandlesAreBounded(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.Handles = 10 })
	r.file("f", "f")
	c := r.dial()
	var h string
	for range 10 {
		h = c.open("f", packet.FlagRead)
	}
	for _, q := range []packet.Request{{Type: packet.Open, Path: "f", Flags: packet.FlagRead}, {Type: packet.Open, Path: "g", Flags: fresh}, {Type: packet.Opendir, Path: "/"}} {
		c.says(q, packet.Failure)
	}
	c.closes(h, packet.OK)
	c.closes(h, packet.Failure) // twice
	c.open("f", packet.FlagRead)
	for _, bad := range []string{"", "x", "\x00\x00\x00\xff", "12345"} {
		c.closes(bad, packet.Failure)
		c.says(packet.Request{Type: packet.Write, Handle: bad}, packet.Failure)
		c.says(packet.Request{Type: packet.Read, Handle: bad}, packet.Failure)
		c.says(packet.Request{Type: packet.Readdir, Handle: bad}, packet.Failure)
	}
	c.says(packet.Request{Type: packet.Write, Handle: h, Data: []byte("x")}, packet.Failure)
}

func TestWhatIsNoPacketIsAnsweredOrEndsTheSession(t *testing.T) {
	r := serve(t, "", nil)
	c := r.dial()
	c.says(packet.Request{Type: packet.Extended, Extension: "none@example.net"}, packet.Unsupported)
	if _, err := c.ch.Write([]byte("\x00\x00\x00\x06\x04\x00\x00\x00\x07\xff")); err != nil {
		t.Fatal(err)
	}
	if kind, body := c.receive(); kind != packet.Status || packet.Code(binary.BigEndian.Uint32(body)) != packet.BadMessage {
		t.Errorf("type %d %q", kind, body)
	}
	c.says(packet.Request{Type: packet.Stat, Path: "a\x00b"}, packet.Failure)
	for _, end := range []string{"\x40\x00\x00\x00\x04", "\x00\x00\x00\x00", "\x00\x00\x00\x05\x01\x00\x00\x00\x03"} {
		c := r.dial()
		if _, err := c.ch.Write([]byte(end)); err != nil {
			t.Fatal(err)
		}
		if kind, _ := c.receive(); kind != 0 {
			t.Errorf("%x is answered with type %d", end, kind)
		}
	}
}

// TestSwappingLinksOpensNoWayOut lets one goroutine exchange a folder and a link that leads out, as fast as it can, while a client reads, writes and removes
// through that name.
func TestSwappingLinksOpensNoWayOut(t *testing.T) {
	r := serve(t, "", nil)
	out := filepath.Join(filepath.Dir(r.root), "out")
	r.file("door/f", "inside")
	r.file(filepath.Join(out, "f"), "canary")
	if err := os.Symlink(out, filepath.Join(r.root, "door2")); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(r.root, "door"), filepath.Join(r.root, "door2")
	var stop atomic.Bool
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for !stop.Load() {
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Error(err)
			}
		}
	})
	c := r.dial()
	read, refusals := 0, 0
	for i := range 600 {
		kind, body := c.ask(packet.Request{Type: packet.Open, Path: "door/f", Flags: packet.FlagRead})
		if kind == packet.Handle {
			h := string(body[4:])
			if got := string(c.read(h, 100)); got != "inside" {
				t.Fatalf("read %q", got)
			}
			c.ask(packet.Request{Type: packet.Close, Handle: h})
			read++
		} else {
			refusals++
		}
		if i%4 == 0 {
			c.ask(packet.Request{Type: packet.Remove, Path: "door/g"})
			c.ask(packet.Request{Type: packet.Mkdir, Path: "door/d"})
			c.ask(packet.Request{Type: packet.Rename, Path: "door/d", Target: "door/e"})
			c.ask(packet.Request{Type: packet.Rmdir, Path: "door/e"})
			if kind, body = c.ask(packet.Request{Type: packet.Open, Path: "door/g", Flags: fresh}); kind == packet.Handle {
				h := string(body[4:])
				c.ask(packet.Request{Type: packet.Write, Handle: h, Data: []byte("inside")})
				c.ask(packet.Request{Type: packet.Close, Handle: h})
			}
		}
	}
	stop.Store(true)
	swapper.Wait()
	if read == 0 || refusals == 0 {
		t.Errorf("%d reads, %d refusals: the swapper was not met", read, refusals)
	}
	left, _ := os.ReadDir(out)
	if b, err := os.ReadFile(filepath.Join(out, "f")); len(left) != 1 || string(b) != "canary" {
		t.Errorf("outside: %v, %q, %v", left, b, err)
	}
}

func TestNamesThatLeadOutLeadToTheRoot(t *testing.T) {
	r := serve(t, "", nil)
	r.file("etc/passwd", "inside")
	c := r.dial()
	for _, path := range []string{"../../etc/passwd", "/../etc/passwd", "etc/../../etc/passwd", "//etc//passwd"} {
		h := c.open(path, packet.FlagRead)
		if got := string(c.read(h, 100)); got != "inside" {
			t.Errorf("%s: %q", path, got)
		}
		c.closes(h, packet.OK)
	}
	for _, path := range []string{`..\..\etc\passwd`, "%2e%2e/etc/passwd"} {
		c.says(packet.Request{Type: packet.Open, Path: path, Flags: packet.FlagRead}, packet.NoSuchFile)
	}
	if err := unix.Mkfifo(filepath.Join(r.root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.says(packet.Request{Type: packet.Open, Path: "fifo", Flags: packet.FlagRead}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Open, Path: "fifo", Flags: fresh}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Open, Path: "etc", Flags: packet.FlagRead}, packet.PermissionDenied)
}

// FuzzSession lets a client say anything: the session ends or answers, and outside of the root nothing changes.
func FuzzSession(f *testing.F) {
	var all []byte
	for _, q := range []packet.Request{
		{Type: packet.Init, ID: 3},
		{Type: packet.Open, ID: 1, Path: "f", Flags: fresh},
		{Type: packet.Write, ID: 2, Handle: "\x00\x00\x00\x01", Data: []byte("data")},
		{Type: packet.Close, ID: 3, Handle: "\x00\x00\x00\x01"},
		{Type: packet.Open, ID: 4, Path: "f", Flags: packet.FlagRead},
		{Type: packet.Read, ID: 5, Handle: "\x00\x00\x00\x02", Length: 10},
		{Type: packet.Opendir, ID: 6, Path: "/"},
		{Type: packet.Readdir, ID: 7, Handle: "\x00\x00\x00\x03"},
		{Type: packet.Rename, ID: 8, Path: "f", Target: "g"},
		{Type: packet.Extended, ID: 9, Extension: packet.Limits},
		{Type: packet.Fsetstat, ID: 10, Handle: "\x00\x00\x00\x01"},
	} {
		all = q.Append(all)
	}
	f.Add(all)
	f.Add(all[:40])
	f.Fuzz(func(t *testing.T, p []byte) {
		s, to, done := bare(t)
		defer done()
		s.in.Reset(strings.NewReader(string(p)))
		s.run()
		if len(s.out) > 0 {
			t.Error("a reply was left behind")
		}
		opened := map[string]int{}
		for _, e := range to.list {
			switch e.Kind {
			case tallyman.KindRequest:
				opened[e.Began.String()]++
			case tallyman.KindClosed:
				opened[e.Began.String()]--
				if e.Reason.Verdict() == tallyman.NoVerdict {
					t.Errorf("%s ends for the reason %q", e.Op, e.Reason)
				}
			default:
			}
		}
		for began, n := range opened {
			if n > 0 {
				t.Errorf("the transfer of %s never ends", began)
			}
		}
	})
}

// nowhere takes all that is written.
type nowhere struct{ io.Reader }

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
