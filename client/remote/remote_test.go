package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tallyman"
)

func TestPlaceIsReadAsItIsWritten(t *testing.T) {
	f := func(text string, want Place) {
		t.Helper()
		if got, err := ParsePlace(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	f("ftp://h/a/b", Place{"ftp", "", "h", 21, "a/b"})
	f("FTPS://ann@h:2121/%2Fetc/x%20y", Place{"ftps", "ann", "h", 2121, "/etc/x y"})
	f("ftps://h/", Place{"ftps", "", "h", 990, ""})
	f("ftpes://a%40b@[::1]/x", Place{"ftpes", "a@b", "::1", 21, "x"})
	f("sftp://ann@h/srv/x", Place{"sftp", "ann", "h", 22, "/srv/x"})
	f("sftp://ann@[fe80::1%25eth0]:2022/~/x", Place{"sftp", "ann", "fe80::1%eth0", 2022, "x"})
}

func TestWhatIsNoPlaceIsRefusedAndNoSecretRepeated(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := ParsePlace(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f("http://h/x", "no URL of FTP or SFTP")
	f("ftp://ann:secret@h/x", "a password does not belong into a URL")
	f("ftp:///x", "the host is missing")
	f("ftp://@h/x", "name of the user is empty")
	f("ftp://h:0/x", "a port is a number")
	f("ftp://[::1/x", "brackets")
	f("ftp://h/a%0d%0aDELE%20b", "control characters")
	f("ftp://h/%", "%25")
}

func sum(b []byte) tallyman.Digest {
	return tallyman.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(b)))
}

func TestResumedDownloadIsComparedAndHashedAsAWhole(t *testing.T) {
	all := bytes.Repeat([]byte("0123456789abcdef"), 3*Overlap/16)
	for _, n := range []int{0, 10, Overlap, Overlap + 1, 2*Overlap + 7, len(all)} {
		var rest bytes.Buffer
		c, err := NewDownload(&rest, bytes.NewReader(all[:n]))
		if err != nil {
			t.Fatal(err)
		}
		if at := c.From(); at != int64(max(0, n-Overlap)) {
			t.Errorf("%d bytes are there, and %d is asked for", n, at)
		}
		for from := all[c.From():]; len(from) > 0; from = from[min(len(from), 10_000):] {
			if _, err := c.Write(from[:min(len(from), 10_000)]); err != nil {
				t.Fatal(err)
			}
		}
		if !c.Whole() || c.Digest() != sum(all) || c.Bytes() != int64(len(all)) || !bytes.Equal(rest.Bytes(), all[n:]) {
			t.Errorf("with %d bytes there: %d bytes, %v", n, c.Bytes(), c.Digest())
		}
	}
}

func TestResumedDownloadOfAnotherFileIsContradicted(t *testing.T) {
	var rest bytes.Buffer
	c, err := NewDownload(&rest, strings.NewReader("the old"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Write([]byte("the new file"))
	e, ok := errors.AsType[*End](err)
	if !ok || e.Verdict != tallyman.Contradicted || e.Reason != tallyman.HashMismatch || rest.Len() > 0 {
		t.Errorf("%v; stored %q", err, rest.String())
	}
}

func TestUploadSkipsWhatTheServerHas(t *testing.T) {
	all := bytes.Repeat([]byte("x1"), Overlap)
	c := NewUpload(bytes.NewReader(all))
	if err := c.Pass(Overlap + 9); err != nil || c.Digest() != sum(all[:Overlap+9]) || !bytes.Equal(c.Tail(), all[9:Overlap+9]) {
		t.Errorf("%v, %v", err, c.Digest())
	}
	if err := c.Pass(int64(len(all))); err == nil {
		t.Error("more is skipped than there is")
	}
}

func TestVerdictsAreLegalAndSayWhatTheyRestOn(t *testing.T) {
	c := NewUpload(strings.NewReader("abc"))
	if err := c.Pass(3); err != nil {
		t.Fatal(err)
	}
	f := func(size int64, digest tallyman.Digest, reason tallyman.Reason, says string) {
		t.Helper()
		var r Result
		r.Prove("it said 226")
		err := r.Close(context.Background(), "put x", c, r.Agree(c, size, digest))
		if err == nil {
			r.Reason = tallyman.ReplyAcknowledged
		}
		if r.Reason != reason || !tallyman.Legal(r.Verdict, r.Reason) || !strings.Contains(r.Sentence()+r.Why, says) {
			t.Errorf("%d %s: %s %s: %s%s, %v", size, digest, r.Verdict, r.Reason, r.Sentence(), r.Why, err)
		}
	}
	f(3, "", tallyman.ReplyAcknowledged, "both sides count 3 bytes (hashes were not compared)")
	f(3, sum([]byte("abc")), tallyman.ReplyAcknowledged, "it said 226, and both sides count 3 bytes with the same SHA-256")
	f(-1, "", tallyman.ReplyAcknowledged, "neither size nor hash")
	f(2, "", tallyman.StoredShort, "has 2 bytes, here are 3")
	f(3, sum([]byte("abd")), tallyman.HashMismatch, "here it is sha256:ba7816bf")
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var r Result
	if err := r.Close(ctx, "put x", c, errors.New("reset")); r.Verdict != tallyman.Aborted || r.Reason != tallyman.ClientAbort {
		t.Error(err)
	}
}
