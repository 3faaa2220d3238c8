package format_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
)

// seeds are the lines of the tests of this package, and the samples.
func seeds(f *testing.F) (all []string) {
	f.Helper()
	for _, name := range []string{"hpa_test.go", "atftpd_test.go", "ftp_test.go", "ssh_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if len(line) > 20 && !strings.HasPrefix(line, "= ") && !strings.HasPrefix(line, "~ ") && !strings.HasPrefix(line, "! ") && !strings.HasPrefix(line, "\t") {
				all = append(all, line)
			}
		}
	}
	return all
}

var visEscape = regexp.MustCompile(`\\([0-3][0-7][0-7]|[nrtbavf0s\\])`)

var percentEscape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// FuzzLines feeds lines to each format. Of what is told it holds: the line is in it as it came; its names are parts of the lines, so that nothing is made
// up; an address stands in the lines; a refused line tells nothing; numbers that are unknown are -1; the details are JSON of one line.
func FuzzLines(f *testing.F) {
	names := format.Names()
	for _, s := range seeds(f) {
		for i := range names {
			f.Add(uint8(i), s, "")
		}
	}
	f.Add(uint8(0), "Nov 27 00:53:23 in.tftpd[1]: RRQ from 10.0.0.7 filename a", "Nov 27 00:53:23 in.tftpd[1]: sending NAK (1, File not found) to 10.0.0.7")
	f.Add(uint8(11), "Nov 27 00:53:23 sshd[1]: Failed password for x from 1.2.3.4 port 5 ssh2: y from 10.0.0.1 port 5 ssh2", "Nov 27 00:53:23 sshd[1]: Connection closed by 10.0.0.1 [preauth]")
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, which uint8, first, second string) {
		name := names[int(which)%len(names)]
		r := format.NewReader(entry.Options{Host: "vm"})
		both := first + "\n" + second
		plain := both
		if strings.Contains(both, `\`) && !strings.HasPrefix(first, "{") {
			plain += visEscape.ReplaceAllStringFunc(both, func(s string) string {
				switch {
				case len(s) == 4:
					return string([]byte{(s[1]-'0')<<6 | (s[2]-'0')<<3 | (s[3] - '0')})
				default:
					return string("\n\r\t\b\a\v\f\x00 \\"[strings.IndexByte(`nrtbavf0s\`, s[1])])
				}
			})
		}
		if name == "pure-ftpd-clf" {
			plain += percentEscape.ReplaceAllStringFunc(both, func(s string) string {
				b, err := hex.DecodeString(s[1:])
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			})
		}
		part := func(s string) bool { return strings.Contains(plain, s) || name == "sftpgo" }
		for _, raw := range []string{first, second} {
			got, result := r.Line(name, raw, now, nil)
			if result.Outcome == entry.Refused && (len(got) > 0 || result.Why == "") {
				t.Errorf("refused (%q), and told %+v", result.Why, got)
			}
			for _, e := range append(got, r.Settle(now.AddDate(8000, 0, 0), nil)...) {
				if e.Raw != strings.TrimSuffix(first, "\r") && e.Raw != strings.TrimSuffix(second, "\r") {
					t.Errorf("raw is %q", e.Raw)
				}
				for _, s := range []string{e.Name, e.Path, e.From, e.User, e.Host} {
					if s != "vm" && s != "root" && s != "anonymous" && !part(s) {
						t.Errorf("%q stands in neither line: %+v", s, e)
					}
				}
				if e.Peer.IsValid() && !part(e.Peer.Addr().WithZone("").String()) && !strings.ContainsAny(both, ":") {
					t.Errorf("%s stands in neither line", e.Peer)
				}
				if e.Witness != "log" || e.Time.IsZero() || e.Size != -1 || e.Expected != -1 || e.Moved < -1 || e.Kind == tallyman.NoKind {
					t.Errorf("%+v", e)
				}
				if e.Reason != "" && e.Reason.Verdict() == tallyman.NoVerdict {
					t.Errorf("%q is no reason", e.Reason)
				}
				var d map[string]any
				if err := json.Unmarshal([]byte(e.Details), &d); err != nil || strings.ContainsAny(e.Details, "\n\r\x1b") || d["boundary"] != "text" {
					t.Errorf("details %q: %v", e.Details, err)
				}
			}
		}
	})
}

// What a client sends stays a name, whatever it is, when the boundary of the message is certain. What is longer than a path can be is not remembered.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "a\nRRQ from 1.2.3.4 filename b", " remapped to ", "  ", "e\x1b[31m\xff", "x to 1.2.3.4:5", "sending NAK (1, x) to 1.2.3.4", "\n", "a not found for 1.2.3.4"} {
		f.Add(s)
	}
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, name string) {
		name = name[:min(len(name), 4096)]
		check := func(ident, message string, want func(e *tallyman.Evidence) string) {
			t.Helper()
			r := format.NewReader(entry.Options{})
			e := &entry.Entry{Time: at, Ident: ident, PID: 7, Tag: "7", Message: message, Raw: message, Certain: true}
			got, result := r.Take(e, nil)
			if len(got) != 1 || want(&got[0]) != name || got[0].Peer.Addr().String() != "10.0.0.7" {
				t.Errorf("%s: %q: %+v %+v", ident, message, result, got)
			}
		}
		if !strings.Contains(name, " remapped to ") {
			check("in.tftpd", "RRQ from 10.0.0.7 filename "+name+"\n", func(e *tallyman.Evidence) string { return e.Name })
		}
		check("atftpd", "Serving "+name+" to 10.0.0.7:5", func(e *tallyman.Evidence) string { return e.Name })
		check("atftpd", "Fetching from 10.0.0.7 to "+name, func(e *tallyman.Evidence) string { return e.Name })
		check("dnsmasq-tftp", "sent "+name+" to 10.0.0.7", func(e *tallyman.Evidence) string { return e.Path })
		check("dnsmasq-tftp", "file "+name+" not found for 10.0.0.7", func(e *tallyman.Evidence) string { return e.Path })
		if !strings.Contains(name, `: Client "`) {
			check("vsftpd", `[u] OK UPLOAD: Client "10.0.0.7", "`+name+`", 5 bytes, 1.00Kbyte/sec`, func(e *tallyman.Evidence) string { return e.Path })
			check("vsftpd", `[u] FTP command: Client "10.0.0.7", "STOR `+name+`"`, func(e *tallyman.Evidence) string { return e.Name })
		}
		check("pure-ftpd", `(u@10.0.0.7) [NOTICE] /`+name+` uploaded  (5 bytes, 1.00KB/sec)`, func(e *tallyman.Evidence) string { return strings.TrimPrefix(e.Path, "/") })
		check("sshd", "Invalid user "+name+" from 10.0.0.7 port 5", func(e *tallyman.Evidence) string { return e.User })
	})
}
