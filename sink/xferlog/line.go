package xferlog

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tallyman"
)

// ended reports whether a record is one that has a line: ours, begun and over.
func ended(t *tallyman.Transfer) bool {
	if t.End.IsZero() || !t.Merged.IsZero() || !slices.Contains(t.Judgement.For, "server") && !slices.Contains(t.Judgement.Against, "server") {
		return false
	}
	switch t.Op {
	case tallyman.OpGet, tallyman.OpPut, tallyman.OpAppend:
		v := t.Judgement.Verdict
		return v != tallyman.NoVerdict && v != tallyman.Active && v != tallyman.Refused && v != tallyman.Probe
	case tallyman.OpDelete:
		return t.Judgement.Outcome() == "success"
	default:
		return false
	}
}

func whole(t *tallyman.Transfer) bool { return t.Judgement.Outcome() == "success" }

// xferlogLine is a line of xferlog(5), without its end:
//
//	Fri Nov 20 17:42:01 2026 2 192.0.2.1 6291456 /up.bin b _ i r u ftp 0 * c
func xferlogLine(t *tallyman.Transfer, zone *time.Location) string {
	kind, direction, access, completion := 'b', 'o', 'r', 'i'
	if strings.Contains(t.Details, `"mode":"netascii"`) {
		kind = 'a'
	}
	switch t.Op {
	case tallyman.OpPut, tallyman.OpAppend:
		direction = 'i'
	case tallyman.OpDelete:
		direction = 'd'
	default:
	}
	if t.User == "" || t.User == "anonymous" || t.User == "ftp" {
		access = 'a'
	}
	if whole(t) {
		completion = 'c'
	}
	return fmt.Sprintf("%s %d %s %d %s %c _ %c %c %s %s 0 * %c",
		t.End.In(zone).Format(time.ANSIC), seconds(t), host(t), max(t.Bytes, 0), word(path(t)), kind, direction, access, user(t.User), t.Proto, completion)
}

// clfLine is a line of pure-ftpd's AltLog clf. That server says 200 of all; what was not whole is 426 here, the reply that the client got.
//
//	192.0.2.1 - u [20/Nov/2026:17:47:08 -0000] "PUT /srv/up.bin" 200 6291456
func clfLine(t *tallyman.Transfer, zone *time.Location) string {
	if t.Op == tallyman.OpDelete {
		return ""
	}
	verb, code := "PUT", 426
	if t.Op == tallyman.OpGet {
		verb = "GET"
	}
	if whole(t) {
		code = 200
	}
	at := t.End.In(zone).Format("02/Jan/2006:15:04:05 -0700")
	at = strings.Replace(at, " +0000", " -0000", 1) // as it spells UTC
	return fmt.Sprintf(`%s - %s [%s] "%s %s" %d %d`, host(t), user(t.User), at, verb, percent(path(t)), code, max(t.Bytes, 0))
}

// vsftpdLine is what the log of vsftpd says of a transfer:
//
//	Fri Nov 27 00:55:04 2026 [pid 16051] [u] OK UPLOAD: Client "192.0.2.1", "/srv/up.bin", 3000000 bytes, 1601.43Kbyte/sec
func vsftpdLine(t *tallyman.Transfer, zone *time.Location) string {
	if t.Op == tallyman.OpDelete {
		return ""
	}
	status, act := "FAIL", "UPLOAD"
	if t.Op == tallyman.OpGet {
		act = "DOWNLOAD"
	}
	if whole(t) {
		status = "OK"
	}
	took, _ := t.Took()
	rate := float64(max(t.Bytes, 0)) / 1024 / max(took.Seconds(), 1e-6)
	return fmt.Sprintf(`%s [pid %d] [%s] %s %s: Client "%s", "%s", %d bytes, %.2fKbyte/sec`,
		t.End.In(zone).Format(time.ANSIC), t.Proc.PID, user(t.User), status, act, host(t), printable(path(t), '?'), max(t.Bytes, 0), rate)
}

// vsftpdLogin is what the log of vsftpd says of a login, or of one that failed:
//
//	Fri Nov 27 00:55:08 2026 [pid 16086] [u] FAIL LOGIN: Client "192.0.2.1"
func vsftpdLogin(e *tallyman.Event, zone *time.Location) string {
	status := ""
	switch e.Kind {
	case "login":
		status = "OK"
	case "login-failed":
		status = "FAIL"
	default:
		return ""
	}
	return fmt.Sprintf(`%s [pid %d] [%s] %s LOGIN: Client "%s"`,
		e.At.In(zone).Format(time.ANSIC), e.Proc.PID, user(e.User), status, e.Client.Addr().Unmap().WithZone(""))
}

func seconds(t *tallyman.Transfer) int64 {
	took, _ := t.Took()
	return int64(took.Round(time.Second) / time.Second)
}

func host(t *tallyman.Transfer) string { return t.Client.Addr().Unmap().WithZone("").String() }

func path(t *tallyman.Transfer) string {
	if t.Path != "" {
		return t.Path
	}
	return t.Name
}

// user is one word without the marks that stand around it.
func user(name string) string {
	if name == "" {
		return "-"
	}
	return strings.NewReplacer("[", "_", "]", "_", `"`, "_").Replace(word(name))
}

// word makes one word of a name, as ProFTPD and pure-ftpd do: what is no printable character, and each space, becomes "_".
func word(name string) string {
	return strings.ReplaceAll(printable(name, '_'), " ", "_")
}

// printable puts a mark in the place of each rune that is neither printable nor a space of ASCII, and of each byte that is no UTF-8.
func printable(name string, mark rune) string {
	var b strings.Builder
	for i, r := range name {
		if r == utf8.RuneError && !strings.HasPrefix(name[i:], "\uFFFD") || !unicode.IsPrint(r) {
			r = mark
		}
		b.WriteRune(r)
	}
	return b.String()
}

// percent is how pure-ftpd writes a name: letters, digits and "./_-" of ASCII as they are, other bytes as %XX.
func percent(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("./_-", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
