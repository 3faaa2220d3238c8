package ftp

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"tallyman"
)

func TestFileIsStoredFetchedAndRecorded(t *testing.T) {
	r := serve(t, nil)
	c := r.login()
	content := string(noise(1_000_000))
	if code := c.put("STOR a.cfg", content); code != 226 {
		t.Fatalf("stored with %d", code)
	}
	if got, _ := r.holds("a.cfg"); got != content {
		t.Error("another content was stored")
	}
	if got := c.get("RETR a.cfg"); got != content {
		t.Error("another content was fetched")
	}
	c.cmd(221, "QUIT")
	for _, op := range []tallyman.Op{tallyman.OpPut, tallyman.OpGet} {
		e := r.rec.await(t, "end", func(e *tallyman.Evidence) bool {
			return e.Kind == tallyman.KindClosed && e.Op == op && e.Reason == tallyman.ReplyAcknowledged
		})
		want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
		if e.Name != "a.cfg" || e.Moved != 1_000_000 || e.Size != 1_000_000 || string(e.Digest) != want || e.User != "tally" || e.Proto != "ftp" {
			t.Errorf("%+v", e)
		}
	}
	r.clean()
}

func TestWithoutHashesFilesGoWholeAndRecordsNameNoContent(t *testing.T) {
	r := serve(t, func(c *Config) { c.Hash = false })
	c := r.login()
	content := string(noise(9_000_001)) // more than the kernel is told to send at once
	if code := c.put("STOR a.cfg", content); code != 226 {
		t.Fatalf("stored with %d", code)
	}
	if got := c.get("RETR a.cfg"); got != content {
		t.Error("another content was fetched")
	}
	c.cmd(350, "REST 8999999")
	if got := c.get("RETR a.cfg"); got != content[8_999_999:] {
		t.Errorf("the end is %q", got)
	}
	c.cmd(221, "QUIT")
	for _, op := range []tallyman.Op{tallyman.OpPut, tallyman.OpGet} {
		e := r.rec.await(t, "end", func(e *tallyman.Evidence) bool {
			return e.Kind == tallyman.KindClosed && e.Op == op && e.Reason == tallyman.ReplyAcknowledged
		})
		if e.Moved != 9_000_001 || e.Size != 9_000_001 || e.Digest != "" {
			t.Errorf("%+v", e)
		}
	}
	r.clean()
}

func TestListingsTellWhatIsThere(t *testing.T) {
	r := serve(t, nil)
	r.put("a.cfg", "12345")
	r.put("d/inner", "1")
	r.put("two\nlines", "1")
	c := r.login()
	f := func(line, want string) {
		t.Helper()
		if got := c.get(line); got != want {
			t.Errorf("%s: %q, not %q", line, got, want)
		}
	}
	f("NLST", "a.cfg\r\nd\r\n")
	f("NLST d", "d/inner\r\n")
	f("NLST d/inner", "d/inner\r\n")
	f("NLST -a /d/", "/d/inner\r\n")
	if got := c.get("LIST -la"); !strings.HasPrefix(got, "-rw-r--r--   1 ftp      ftp                 5 ") || strings.Count(got, "\r\n") != 2 {
		t.Errorf("LIST: %q", got)
	}
	if got := c.get("MLSD"); strings.Count(got, "\r\n") != 3 || !strings.Contains(got, "type=file;size=5;modify=") || !strings.Contains(got, "type=cdir;") {
		t.Errorf("MLSD: %q", got)
	}
	c.cmd(200, "OPTS MLST size;")
	f("MLSD d", " .\r\nsize=1; inner\r\n")
	if got := c.cmd(250, "MLST a.cfg"); !strings.Contains(got, "\r\n size=5; /a.cfg\r\n250 ") {
		t.Errorf("MLST: %q", got)
	}
	if got := c.cmd(213, "SIZE a.cfg"); got != "213 5\r\n" {
		t.Error(got)
	}
	if got := c.cmd(213, "STAT d"); strings.Count(got, "\r\n") != 3 {
		t.Error(got)
	}
	_ = c.data()
	c.cmd(550, "LIST none")
	if e := r.rec.ended(t, "none"); e.Op != tallyman.OpList || e.Reason != tallyman.NotFound {
		t.Errorf("a listing that was refused is told as %+v", e)
	}
	if e := r.rec.ended(t, "/d/"); e.Op != tallyman.OpList || e.Reason != tallyman.ReplyAcknowledged || e.Moved != int64(len("/d/inner\r\n")) || e.Path == "" {
		t.Errorf("%+v", e)
	}
	_ = c.data()
	c.cmd(553, "MLSD ../..")
}
