package sftp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/tree"
)

func sum(s string) tallyman.Digest {
	h := sha256.Sum256([]byte(s))
	return tallyman.Digest("sha256:" + hex.EncodeToString(h[:]))
}

func noise(n int) string {
	b := make([]byte, n)
	x := uint32(n) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

func TestUploadIsStoredAndRecordedBeforeCloseIsAnswered(t *testing.T) {
	r := serve(t, "", nil)
	c := r.dial()
	content := noise(700_000)
	h := c.open("/f", fresh)
	for at := 0; at < len(content); at += packet.MaxData {
		c.write(h, uint64(at), content[at:min(len(content), at+packet.MaxData)])
	}
	if got := r.content("f"); !strings.Contains(got, "no such file") {
		t.Error("it stands there before CLOSE")
	}
	var order []string
	r.notes.mu.Lock()
	r.notes.atSync = func() {
		_, err := os.Stat(filepath.Join(r.root, "f"))
		order = append(order, fmt.Sprint(err == nil))
	}
	r.notes.mu.Unlock()
	c.closes(h, packet.OK)
	if strings.Join(order, " ") != "false true" {
		t.Errorf("the begin is synced before the name, and the end after it: %v", order)
	}
	if r.content("f") != content || r.left() != "f" {
		t.Errorf("stored otherwise: %s", r.left())
	}
	r.notes.mu.Lock()
	synced := r.notes.synced == len(r.notes.list)
	r.notes.mu.Unlock()
	e := r.ends(tallyman.OpPut, "/f", tallyman.ClosedWell, 700_000)
	if !synced || e.Digest != sum(content) || e.Size != 700_000 || e.Path != filepath.Join(r.root, "f") || !strings.Contains(e.Details, `"writes":3`) {
		t.Errorf("%+v", e)
	}
	if o := r.wait(tallyman.KindOpened); o.Began != e.Began || o.File != e.File || o.File == "" {
		t.Errorf("opened %+v", o)
	}
}

func TestWithoutHashesFilesGoWholeAndRecordsNameNoContent(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.Hash = false })
	c := r.dial()
	h := c.open("/f", fresh)
	c.write(h, 0, "content")
	c.closes(h, packet.OK)
	if got := r.content("f"); got != "content" {
		t.Errorf("stored %q", got)
	}
	if e := r.ends(tallyman.OpPut, "/f", tallyman.ClosedWell, 7); e.Digest != "" {
		t.Errorf("%+v", e)
	}
}

func TestUploadThatIsNotClosedLeavesItsRecordAlone(t *testing.T) {
	r := serve(t, "", nil)
	r.file("f", "old")
	for i, cut := range []func(*client){
		func(c *client) { _ = c.ssh.Close() },
		func(c *client) { _ = c.ch.Close() },
		func(c *client) { _ = c.ch.CloseWrite() },
	} {
		c := r.dial()
		h := c.open("f", fresh)
		c.write(h, 0, "half of it")
		cut(c)
		if e := r.ends(tallyman.OpPut, "f", tallyman.ClientGone, 10); !strings.Contains(e.Err, "before the file was closed") {
			t.Errorf("%d: %s", i, e.Err)
		}
		if r.content("f") != "old" || r.left() != "f" {
			t.Errorf("%d: left %s", i, r.left())
		}
		_ = c.ssh.Close()
	}
}

func TestHoleIsFoundAndNothingIsStored(t *testing.T) {
	r := serve(t, "", nil)
	c := r.dial()
	h := c.open("f", fresh)
	c.write(h, 1<<20, "far away")
	c.closes(h, packet.Failure)
	if e := r.ends(tallyman.OpPut, "f", tallyman.Hole, 8); !strings.Contains(e.Err, "bytes 0 to 1048575 of 1048584 were never written") {
		t.Error(e.Err)
	}
	if r.left() != "" {
		t.Errorf("left %s", r.left())
	}
	// Zeros that were asked for are no hole, and any order is.
	h = c.open("g", fresh)
	c.says(packet.Request{Type: packet.Fsetstat, Handle: h, Attrs: packet.Attrs{Flags: packet.HasSize, Size: 4}}, packet.OK)
	c.write(h, 6, "world")
	c.write(h, 4, "o ")
	c.write(h, 0, "hell")
	c.says(packet.Request{Type: packet.Fsetstat, Handle: h, Attrs: packet.Attrs{Flags: packet.HasSize, Size: 9}}, packet.OK)
	c.closes(h, packet.OK)
	if e := r.ends(tallyman.OpPut, "g", tallyman.ClosedWell, 9); e.Digest != sum("hello wor") || r.content("g") != "hello wor" {
		t.Errorf("%q, %s", r.content("g"), e.Digest)
	}
}

func TestDownloadIsProvenByItsRangesAndItsClose(t *testing.T) {
	r := serve(t, "", nil)
	content := noise(600_000)
	r.file("f", content)
	r.file("empty", "")
	c := r.dial()
	for range 2 { // the second digest is from memory
		h := c.open("f", packet.FlagRead)
		if got := c.read(h, 1<<20); string(got) != content {
			t.Errorf("%d bytes came", len(got))
		}
		c.closes(h, packet.OK)
		if e := r.ends(tallyman.OpGet, "f", tallyman.ClosedWell, 600_000); e.Digest != sum(content) || e.Expected != 600_000 {
			t.Errorf("%+v", e)
		}
	}
	h := c.open("empty", packet.FlagRead)
	c.read(h, 100)
	c.closes(h, packet.OK)
	r.ends(tallyman.OpGet, "empty", tallyman.ClosedWell, 0)

	h = c.open("f", packet.FlagRead)
	c.closes(h, packet.OK)
	r.ends(tallyman.OpGet, "f", tallyman.SizeProbe, 0)

	h = c.open("f", packet.FlagRead)
	c.ask(packet.Request{Type: packet.Read, Handle: h, Offset: 1000, Length: 500})
	c.closes(h, packet.OK)
	if e := r.ends(tallyman.OpGet, "f", tallyman.PartialRead, 500); e.Digest != "" || !strings.Contains(e.Details, `"offset":1000`) {
		t.Errorf("%+v", e)
	}

	h = c.open("f", packet.FlagRead)
	c.says(packet.Request{Type: packet.Read, Handle: h, Offset: 600_000, Length: 10}, packet.EOF)
	c.says(packet.Request{Type: packet.Read, Handle: h, Offset: 1 << 63, Length: 10}, packet.EOF)
	c.ask(packet.Request{Type: packet.Read, Handle: h, Offset: 0, Length: 500})
	_ = c.ssh.Close()
	r.ends(tallyman.OpGet, "f", tallyman.ClientGone, 500)
}

func TestDownloadWithoutCloseIsNotProven(t *testing.T) {
	r := serve(t, "", nil)
	r.file("f", "content")
	c := r.dial()
	h := c.open("f", packet.FlagRead)
	c.read(h, 100)
	_ = c.ssh.Close()
	r.ends(tallyman.OpGet, "f", tallyman.DeliveredUnconfirmed, 7)
}

func TestFileThatChangesWhileItIsReadHasNoDigest(t *testing.T) {
	r := serve(t, "", nil)
	path := r.file("f", "content")
	c := r.dial()
	h := c.open("f", packet.FlagRead)
	c.ask(packet.Request{Type: packet.Read, Handle: h, Length: 3})
	if err := os.WriteFile(path, []byte("other and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.ask(packet.Request{Type: packet.Read, Handle: h, Offset: 3, Length: 10})
	c.closes(h, packet.OK)
	if e := r.ends(tallyman.OpGet, "f", tallyman.ClosedWell, 7); e.Digest != "" || e.Err != "the file changed while it was read" {
		t.Errorf("%+v", e)
	}
	h = c.open("f", packet.FlagRead)
	if err := os.Truncate(path, 2); err != nil {
		t.Fatal(err)
	}
	c.says(packet.Request{Type: packet.Read, Handle: h, Offset: 5, Length: 10}, packet.Failure)
	c.closes(h, packet.OK)
	r.ends(tallyman.OpGet, "f", tallyman.IOError, 0)
}

func TestOldVersionIsKeptAndModesCount(t *testing.T) {
	r := serve(t, "", nil)
	r.file("f", "old")
	c := r.dial()
	put := func(path, text string, flags uint32) {
		t.Helper()
		h := c.open(path, flags)
		c.write(h, 0, text)
		c.closes(h, packet.OK)
	}
	put("f", "new", fresh)
	if e := r.ends(tallyman.OpPut, "f", tallyman.ClosedWell, 3); !strings.Contains(e.Details, `"kept":"`+r.root+`/.kept/f-`) || r.content("f") != "new" {
		t.Errorf("%s", e.Details)
	}
	r.policy.Mode = tree.Create
	c.says(packet.Request{Type: packet.Open, Path: "f", Flags: fresh}, packet.OK+4)
	if e := r.wait(tallyman.KindRefusal); e.Reason != tallyman.Exists {
		t.Errorf("%+v", e)
	}
	r.policy.Mode = tree.Overwrite
	put("f", "newest", fresh)
	if e := r.ends(tallyman.OpPut, "f", tallyman.ClosedWell, 6); strings.Contains(e.Details, "kept") {
		t.Errorf("%s", e.Details)
	}
	c.says(packet.Request{Type: packet.Open, Path: "f", Flags: fresh | packet.FlagExclusive}, packet.Failure)
	c.says(packet.Request{Type: packet.Open, Path: "none", Flags: packet.FlagWrite}, packet.NoSuchFile)
	r.policy.Write = false
	c.says(packet.Request{Type: packet.Open, Path: "g", Flags: fresh}, packet.PermissionDenied)
	c.says(packet.Request{Type: packet.Remove, Path: "f"}, packet.PermissionDenied)
	r.policy.Read = false
	c.says(packet.Request{Type: packet.Open, Path: "f", Flags: packet.FlagRead}, packet.PermissionDenied)
}

func TestAppendGoesToTheEndWhateverTheOffset(t *testing.T) {
	r := serve(t, "", nil)
	r.file("f", "one")
	c := r.dial()
	h := c.open("f", packet.FlagWrite|packet.FlagAppend|packet.FlagCreate)
	c.write(h, 0, "two")
	c.write(h, 0, "three")
	c.closes(h, packet.OK)
	e := r.ends(tallyman.OpAppend, "f", tallyman.ClosedWell, 8)
	if r.content("f") != "onetwothree" || e.Size != 11 || e.Digest != sum("onetwothree") || !strings.Contains(e.Details, `"offset":3`) {
		t.Errorf("%q, %+v", r.content("f"), e)
	}
	// A resumed upload says where it goes on.
	h = c.open("f", packet.FlagWrite|packet.FlagCreate)
	c.write(h, 11, "!")
	c.closes(h, packet.OK)
	if e := r.ends(tallyman.OpAppend, "f", tallyman.ClosedWell, 1); r.content("f") != "onetwothree!" || e.Digest != sum("onetwothree!") {
		t.Errorf("%q, %+v", r.content("f"), e)
	}
	// One that is broken off leaves the old file whole.
	h = c.open("f", packet.FlagWrite|packet.FlagAppend)
	c.write(h, 0, "half")
	_ = c.ssh.Close()
	r.ends(tallyman.OpAppend, "f", tallyman.ClientGone, 4)
	if r.content("f") != "onetwothree!" {
		t.Errorf("%q", r.content("f"))
	}
}

func TestAppendToWhatIsCutFirstReplacesIt(t *testing.T) {
	r := serve(t, "", nil)
	r.file("f", "old")
	c := r.dial()
	h := c.open("f", fresh|packet.FlagAppend)
	c.write(h, 99, "new")
	c.closes(h, packet.OK)
	r.ends(tallyman.OpPut, "f", tallyman.ClosedWell, 3)
	if r.content("f") != "new" {
		t.Errorf("%q", r.content("f"))
	}
}

func TestUploadThatFailedIsNotReadAnyMore(t *testing.T) {
	r := serve(t, "", nil)
	r.policy.MaxSize = 5
	c := r.dial()
	h := c.open("f", fresh|packet.FlagRead)
	c.write(h, 0, "12345")
	if kind, _ := c.ask(packet.Request{Type: packet.Read, Handle: h, Length: 5}); kind != packet.Data {
		t.Errorf("type %d", kind)
	}
	c.says(packet.Request{Type: packet.Write, Handle: h, Offset: 5, Data: []byte("6")}, packet.Failure)
	c.says(packet.Request{Type: packet.Read, Handle: h, Length: 5}, packet.Failure)
	c.closes(h, packet.Failure)
}

func TestAllThatManyAppendAtOnceIsThere(t *testing.T) {
	r := serve(t, "", nil)
	var all sync.WaitGroup
	const each = 5
	clients := make([]*client, 4)
	for i := range clients {
		clients[i] = r.dial()
	}
	for i, c := range clients {
		all.Go(func() {
			for j := range each {
				h := c.open("log", packet.FlagWrite|packet.FlagAppend|packet.FlagCreate)
				c.write(h, 0, fmt.Sprintf("<%d-%d>", i, j))
				c.closes(h, packet.OK)
			}
		})
	}
	all.Wait()
	got := r.content("log")
	for i := range clients {
		for j := range each {
			if strings.Count(got, fmt.Sprintf("<%d-%d>", i, j)) != 1 {
				t.Errorf("<%d-%d> is missing in %q", i, j, got)
			}
		}
	}
}

func TestUploadThatCannotBeRecordedIsNotAcknowledged(t *testing.T) {
	r := serve(t, "", nil)
	c := r.dial()
	h := c.open("f", fresh)
	c.write(h, 0, "content")
	r.notes.mu.Lock()
	r.notes.full = errors.New("the spool is full")
	r.notes.mu.Unlock()
	c.closes(h, packet.Failure)
	if e := r.ends(tallyman.OpPut, "f", tallyman.DiskFull, 7); !strings.Contains(e.Err, "spool is full") || r.left() != "" {
		t.Errorf("%s, left %s", e.Err, r.left())
	}
}

func TestLimitsOfSizeAndQuotaHold(t *testing.T) {
	r := serve(t, "permissions: all\nquota: {bytes: 100B, files: 3}", nil)
	r.policy.MaxSize = 90
	r.file("old", strings.Repeat("x", 40))
	c := r.dial()
	h := c.open("big", fresh)
	c.says(packet.Request{Type: packet.Write, Handle: h, Offset: 90, Data: []byte("x")}, packet.Failure)
	c.closes(h, packet.Failure)
	r.ends(tallyman.OpPut, "big", tallyman.Quota, 0)
	h = c.open("f", fresh)
	c.write(h, 0, strings.Repeat("y", 50))
	h2 := c.open("g", fresh)
	c.says(packet.Request{Type: packet.Write, Handle: h2, Data: []byte("01234567890")}, packet.Failure)
	c.says(packet.Request{Type: packet.Open, Path: "h", Flags: fresh}, packet.Failure)
	c.closes(h2, packet.Failure)
	c.closes(h, packet.OK)
	if r.left() != "f old" {
		t.Errorf("left %s", r.left())
	}
	c.says(packet.Request{Type: packet.Remove, Path: "f"}, packet.OK)
	h = c.open("g", fresh)
	c.write(h, 0, strings.Repeat("y", 60))
	c.closes(h, packet.OK)
	// A second name counts, because it stays when the first one goes; a link that is removed gives nothing back.
	c.says(packet.Request{Type: packet.Extended, Extension: packet.Hardlink, Path: "old", Target: "again"}, packet.Failure)
	if err := os.Symlink("g", filepath.Join(r.root, "link")); err != nil {
		t.Fatal(err)
	}
	c.says(packet.Request{Type: packet.Remove, Path: "link"}, packet.OK)
	h = c.open("h", fresh)
	c.says(packet.Request{Type: packet.Write, Handle: h, Data: []byte("x")}, packet.Failure)
	c.closes(h, packet.Failure)
	if r.left() != "g old" {
		t.Errorf("left %s", r.left())
	}
}

func TestManyReadsAtOnceComeInOrder(t *testing.T) {
	r := serve(t, "", nil)
	content := noise(3 << 20)
	r.file("f", content)
	c := r.dial()
	h := c.open("f", packet.FlagRead)
	const each, inFlight = 32 << 10, 64
	go func() {
		for at := 0; at < len(content); at += each {
			q := packet.Request{Type: packet.Read, ID: 1000 + uint32(at/each), Handle: h, Offset: uint64(at), Length: each}
			_, _ = c.ch.Write(q.Append(nil))
		}
	}()
	var got bytes.Buffer
	for got.Len() < len(content) {
		kind, body := c.receive()
		if kind != packet.Data {
			t.Fatalf("type %d %q", kind, body)
		}
		got.Write(body[4:])
	}
	if got.String() != content {
		t.Error("other bytes came")
	}
	c.closes(h, packet.OK)
	if e := r.ends(tallyman.OpGet, "f", tallyman.ClosedWell, int64(len(content))); e.Digest != sum(content) {
		t.Errorf("%+v", e)
	}
}

func TestWhoWritesAFileSeesItAndNobodyElse(t *testing.T) {
	r := serve(t, "", nil)
	c, other := r.dial(), r.dial()
	h := c.open("/new", fresh)
	c.write(h, 0, "content")
	if kind, _ := c.ask(packet.Request{Type: packet.Stat, Path: "new"}); kind != packet.Attributes {
		t.Errorf("the writer gets type %d", kind)
	}
	other.says(packet.Request{Type: packet.Stat, Path: "new"}, packet.NoSuchFile)
	c.says(packet.Request{Type: packet.Setstat, Path: "./new", Attrs: packet.Attrs{Flags: packet.HasMode, Mode: 0o600}}, packet.OK)
	c.closes(h, packet.OK)
	if st, err := os.Stat(filepath.Join(r.root, "new")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}
