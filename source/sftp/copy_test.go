package sftp

import (
	"strings"
	"testing"

	"tallyman"
	"tallyman/source/sftp/packet"
)

func (c *client) copies(from string, at, n uint64, to string, where uint64, want packet.Code) {
	c.Helper()
	c.says(packet.Request{Type: packet.Extended, Extension: packet.CopyData, Handle: from, Offset: at, Bytes: n, To: to, ToOffset: where}, want)
}

func TestCopyDataCopiesHereAndIsRecorded(t *testing.T) {
	r := serve(t, "", nil)
	content := noise(700_000)
	r.file("src", content)
	c := r.dial()
	src, dst := c.open("src", packet.FlagRead), c.open("dst", fresh)
	c.copies(src, 0, 0, dst, 0, packet.OK)
	c.closes(dst, packet.OK)
	c.closes(src, packet.OK)
	if r.content("dst") != content {
		t.Error("the copy differs")
	}
	if e := r.ends(tallyman.OpPut, "dst", tallyman.ClosedWell, 700_000); e.Digest != sum(content) || !strings.Contains(e.Details, `"copied":700000`) {
		t.Errorf("%+v", e)
	}
	if e := r.ends(tallyman.OpGet, "src", tallyman.SizeProbe, 0); !strings.Contains(e.Details, `"copied":700000`) { // nothing went to the client
		t.Errorf("%+v", e)
	}
	// Parts, in any order; a part of what is being written here; and beyond the end.
	src, dst = c.open("src", packet.FlagRead), c.open("parts", fresh|packet.FlagRead)
	c.copies(src, 500_000, 200_000, dst, 500_000, packet.OK)
	c.copies(src, 0, 500_000, dst, 0, packet.OK)
	c.copies(dst, 0, 0, dst, 700_000, packet.Failure)
	more := c.open("more", fresh)
	c.copies(dst, 699_990, 20, more, 0, packet.EOF)
	c.copies(dst, 1<<40, 0, more, 0, packet.OK) // from beyond the end to the end is nothing
	c.closes(more, packet.OK)
	c.closes(dst, packet.OK)
	r.ends(tallyman.OpPut, "more", tallyman.ClosedWell, 10)
	r.ends(tallyman.OpPut, "parts", tallyman.ClosedWell, 700_000)
	if r.content("parts") != content || r.content("more") != content[699_990:] {
		t.Error("a part differs")
	}
	// What is not open, or not for that, is not copied; a hole stays a hole.
	dst = c.open("hole", fresh)
	c.copies(dst, 0, 0, src, 0, packet.Failure)
	c.copies("none", 0, 0, dst, 0, packet.Failure)
	c.copies(src, 0, 0, "none", 0, packet.Failure)
	c.copies(src, 1<<63, 0, dst, 0, packet.Failure)
	c.copies(src, 0, 10, dst, 5, packet.OK)
	c.closes(dst, packet.Failure)
	r.ends(tallyman.OpPut, "hole", tallyman.Hole, 10)
	if left := r.left(); left != "dst more parts src" {
		t.Errorf("there is %q", left)
	}
}

func TestCopyDataIsHeldToTheQuotaAndToTheRights(t *testing.T) {
	r := serve(t, "permissions: [create, read, list]\nquota: {bytes: 1MiB}", nil)
	r.file("src", noise(700_000))
	c := r.dial()
	src, dst := c.open("src", packet.FlagRead), c.open("dst", fresh)
	c.copies(src, 0, 0, dst, 0, packet.Failure)
	c.closes(dst, packet.Failure)
	r.ends(tallyman.OpPut, "dst", tallyman.Quota, 261_120) // one piece of 255 KiB went in
	c.says(packet.Request{Type: packet.Open, Path: "src", Flags: packet.FlagWrite}, packet.PermissionDenied)
}
