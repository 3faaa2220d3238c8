package query_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/query"
)

const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// sample returns transfers that differ in what queries ask for: a whole download, a failed upload, one that runs, one without anything known.
func sample() []tallyman.Transfer {
	start := time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC)
	return []tallyman.Transfer{
		{
			Start: start, End: start.Add(1500 * time.Millisecond), Host: "lab-tftp-01", Proto: "tftp", Op: tallyman.OpGet, User: "Backup",
			Client: netip.MustParseAddrPort("10.20.0.5:2000"), Name: "/boot/Image.bin", Path: "/srv/tftp/boot/Image.bin", Bytes: 1 << 20, Digest: "sha256:" + digest,
			Judgement: tallyman.Judgement{Verdict: tallyman.Complete, Reason: tallyman.FinalAck},
		},
		{
			Start: start, End: start.Add(time.Minute), Proto: "sftp", Op: tallyman.OpAppend, Client: netip.MustParseAddrPort("[::ffff:10.21.0.5]:2000"),
			Path: "/home/a\nb é.txt", Bytes: 0, Digest: "md5:900150983cd24fb0d6963f7d28e17f72", Details: `{"search":"default"}`,
			Judgement: tallyman.Judgement{Verdict: tallyman.Refused, Reason: tallyman.NotFound},
		},
		{
			Start: start, Proto: "ftp", Op: tallyman.OpPut, Client: netip.MustParseAddrPort("[fe80::1%eth0]:2000"), Name: "*\\?\xff", Bytes: -1,
			Details: `{"options":{"search":1}}`, Judgement: tallyman.Judgement{Verdict: tallyman.Active},
		},
		{Bytes: -1},
	}
}

// TestMatchIsWhatThePackageCommentSays gives for each query the numbers of those in the sample that it means.
func TestMatchIsWhatThePackageCommentSays(t *testing.T) {
	transfers := sample()
	f := func(text, want string) {
		t.Helper()
		e, err := query.Parse(text, now)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		var got strings.Builder
		for i := range transfers {
			if query.Match(e, &transfers[i]) {
				got.WriteByte(byte('0' + i))
			}
		}
		if got.String() != want {
			t.Errorf("%s means %q, want %q", text, got.String(), want)
		}
	}
	f("", "0123")
	f("verdict:complete", "0")
	f("verdict:*", "012")
	f("-verdict:complete", "123")
	f("verdict:complete,active", "02")
	f("reason:not-found", "1")
	f("-reason:not-found", "023")
	f("outcome:success", "0")
	f("outcome:failure", "1")
	bare := tallyman.Transfer{Op: tallyman.OpDelete, Bytes: -1, Judgement: tallyman.Judgement{Reason: tallyman.ClosedWell}} // moves no content: no verdict
	for text, want := range map[string]bool{"outcome:success": true, "outcome:failure": false, "-verdict:*": true, "reason:closed": true} {
		if e, err := query.Parse(text, now); err != nil || query.Match(e, &bare) != want {
			t.Errorf("%s of a deletion: %v, want %v", text, !want, want)
		}
	}
	f("-outcome:success,failure,unknown", "23")
	f("proto:tftp OR proto:ftp", "02")
	f("op:upload", "12")
	f("op:download", "0")
	f("op:append", "1")
	f("kind:transfer", "0123")
	f("kind:mount", "")

	f("client:10.20.0.5", "0")
	f("client:10.0.0.0/8", "01")
	f("client:10.21.*", "1")
	f("client:0.0.0.0/0", "01")
	f("client:::/0", "2")
	f("client:fe80::/10", "2")
	f("-client:10.0.0.0/8", "23")

	f("file:/boot/Image.bin", "0")
	f("file:/boot/image.bin", "")
	f("file:boot/Image.bin", "")
	f("file:*.bin", "0")
	f("file:*.BIN", "")
	f("file:*Image*", "0")
	f("file:/srv/*", "")
	f(`file:"/home/a\nb é.txt"`, "1")
	f(`file:/home/a?b\ ?.txt`, "1")
	f(`file:/home/a?b\ ??.txt`, "")
	f(`file:"*\\?\xff"`, "2")
	f(`file:\*\\\??`, "2")
	f(`file:\*\\???`, "")
	f(`file:""`, "3")
	f("file:*", "0123")
	f("file:?*", "012")
	f("host:lab-*", "0")
	f("host:LAB-*", "")
	f("user:Backup", "0")
	f("user:backup", "")
	f(`user:""`, "123")

	f("size:1MiB", "0")
	f("size:>=0", "01")
	f("size:>0", "0")
	f("size:<1MiB", "1")
	f("size:<=1MiB", "01")
	f("-size:>0", "123")
	f("size:0..1MiB", "01")
	f("took:<2s", "0")
	f("took:1.5s", "0")
	f("took:>=1500ms", "01")
	f("-took:<2s", "123")
	f("took:1s..1m", "01")

	f("sha256:"+digest, "0")
	f("sha256:"+strings.ToUpper(digest[:5]), "0")
	f("sha256:9001", "")
	f("search:yes", "1")
	f("search:no", "023")

	f("image", "0")
	f("IMAGE", "0")
	f("final", "0")
	f("NOT-FOUND", "1")
	f("10.2", "01")
	f("10.20.0.5", "0")
	f("10.20.0.0/16", "0")
	f("fe80::1", "2")
	f("eth0", "")
	f("É", "")
	f("é", "1")
	f("*.BIN", "0")
	f("10.2?.*", "01")
	f("not-*", "1")
	f("mage.bi*", "")
	f("srv", "")

	f("10.2 -image", "1")
	f("image OR (op:put -active)", "02")
	f("-(image OR append) size:>=0", "1")
	f("image op:put OR op:append", "1")
}

func TestPatternOfManyStarsIsQuick(t *testing.T) {
	pattern := "file:" + strings.Repeat("*a", 100) + "b"
	e, err := query.Parse(pattern, now)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if query.Match(e, &tallyman.Transfer{Name: strings.Repeat("a", tallyman.MaxNameLength)}) {
		t.Error("it fits")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// FuzzPattern: a pattern fits as a plain search says that tries all ways.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*?*", "é")
	f.Add("**a", "")
	f.Add(`\**`, "*x")
	f.Add("??", "\xff\xfe")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 24 || strings.Count(pattern, "*") > 4 {
			return
		}
		e := tallyman.Term{Field: tallyman.FieldUser, Cmp: tallyman.Match, Text: pattern}
		if got, want := query.Match(e, &tallyman.Transfer{User: name}), fitsSlowly(pattern, name); got != want {
			t.Fatalf("%q fits %q: %v, want %v", name, pattern, got, want)
		}
	})
}

func fitsSlowly(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch c := pattern[0]; {
	case c == '*':
		for i := 0; i <= len(s); i++ {
			if fitsSlowly(pattern[1:], s[i:]) {
				return true
			}
		}
		return false
	case s == "":
		return false
	case c == '?':
		first := []rune(s)[0]
		if first == '\ufffd' && !strings.HasPrefix(s, "\ufffd") {
			return fitsSlowly(pattern[1:], s[1:])
		}
		return fitsSlowly(pattern[1:], s[len(string(first)):])
	case c == '\\' && len(pattern) > 1:
		return pattern[1] == s[0] && fitsSlowly(pattern[2:], s[1:])
	}
	return pattern[0] == s[0] && fitsSlowly(pattern[1:], s[1:])
}
