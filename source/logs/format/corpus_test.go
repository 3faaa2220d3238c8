package format_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"tallyman"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
)

// samples are logs of other people, with what they say about them.
const samples = "../../../../shared/testdata/"

func read(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

// failure is the first failed login or refused command among the evidence.
func failure(list []tallyman.Evidence) (e tallyman.Evidence, host string, ok bool) {
	for _, e := range list {
		if e.Kind == tallyman.KindLoginFailed || e.Kind == tallyman.KindCommandRefused {
			return e, clientOf(&e), true
		}
	}
	return e, "", false
}

// clientOf is the client as the evidence names it.
func clientOf(e *tallyman.Evidence) string {
	if e.Peer.IsValid() {
		return e.Peer.Addr().String()
	}
	var d struct {
		Client string `json:"client"`
	}
	_ = json.Unmarshal([]byte(e.Details), &d)
	return d.Client
}

func sameHost(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return a == b || errX == nil && errY == nil && x.Unmap() == y.Unmap()
}

// note is a comment of fail2ban about the line after it.
type note struct {
	Time       string   `json:"time"`
	Match      bool     `json:"match"`
	Host       string   `json:"host"`
	User       *string  `json:"user"`
	Users      []string `json:"users"`
	Constraint string   `json:"constraint"`
	Desc       string   `json:"desc"`
}

func TestFail2banSamplesGiveTheirHostsAndResults(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2005, 8, 14, 12, 0, 0, 0, zurich)
	lines := 0
	f := func(file, name string) {
		t.Helper()
		r := format.NewReader(entry.Options{Zone: zurich})
		var notes []note
		for n, raw := range read(t, "log-fail2ban/"+file) {
			if text, ok := strings.CutPrefix(raw, "# failJSON: "); ok {
				var one note
				if err := json.Unmarshal([]byte(text), &one); err != nil {
					t.Fatalf("%s:%d: %v", file, n+1, err)
				}
				notes = append(notes, one)
				continue
			}
			if raw == "" || raw[0] == '#' {
				if strings.HasPrefix(raw, "# filterOptions") { // another test begins: pids come again
					r = format.NewReader(entry.Options{Zone: zurich})
				}
				continue
			}
			lines++
			got, result := r.Line(name, raw, now, nil)
			e, host, failed := failure(got)
			if result.Outcome == entry.Refused && result.Why == "" {
				t.Errorf("%s:%d: refused without a reason", file, n+1)
			}
			want, strict := settled(notes)
			notes = nil
			if !strict {
				continue
			}
			if failed != want.Match {
				t.Errorf("%s:%d: failed %v (%+v), want %+v: %s", file, n+1, failed, result, want, raw)
				continue
			}
			if !failed {
				continue
			}
			if want.Host != "" && !sameHost(host, want.Host) {
				t.Errorf("%s:%d: client %q, want %q: %s", file, n+1, host, want.Host, raw)
			}
			if at, err := time.ParseInLocation("2006-01-02T15:04:05", want.Time, zurich); want.Time != "" && (err != nil || !e.Time.Truncate(time.Second).Equal(at)) && result.Outcome == entry.Told && e.Raw == raw {
				t.Errorf("%s:%d: at %s, want %s: %s", file, n+1, e.Time.In(zurich), want.Time, raw)
			}
			if want.User != nil && e.User != *want.User && !strings.EqualFold(e.User, *want.User) {
				t.Errorf("%s:%d: user %q, want %q: %s", file, n+1, e.User, *want.User, raw)
			}
		}
	}
	f("fail2ban__tests__files__logs__vsftpd", "vsftpd")
	f("fail2ban__tests__files__logs__proftpd", "proftpd")
	f("fail2ban__tests__files__logs__sshd", "sshd")
	if lines < 170 {
		t.Errorf("only %d lines were read", lines)
	}
}

// settled takes the notes of one line: of two for different modes of fail2ban the one of the aggressive mode, which counts what ends before a login. A
// line that fail2ban's mode leaves open is not compared.
func settled(notes []note) (note, bool) {
	for _, n := range notes {
		if strings.Contains(n.Constraint, "== 'aggressive'") {
			return n, true
		}
	}
	if len(notes) == 0 || strings.Contains(notes[0].Constraint, "!= 'aggressive'") || strings.Contains(notes[0].Desc, "no failure in normal mode") {
		return note{}, false
	}
	return notes[0], true
}

var assertion = regexp.MustCompile(`^results\["s01-parse"\]\["([^"]+)"\]\[(\d+)\]\.(Success|Evt\.(Parsed|Meta)\["([^"]+)"\]) == (.*)$`)

func TestCrowdSecSamplesGiveTheirHostsAndResults(t *testing.T) {
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	f := func(test, name, parser string) {
		t.Helper()
		want := map[int]map[string]string{}
		for _, raw := range read(t, "log-crowdsec/tests__"+test+"__parser.assert") {
			m := assertion.FindStringSubmatch(raw)
			if m == nil || m[1] != parser {
				continue
			}
			i, _ := strconv.Atoi(m[2])
			if want[i] == nil {
				want[i] = map[string]string{}
			}
			value := m[6]
			if s, err := strconv.Unquote(value); err == nil {
				value = s
			}
			want[i][m[3]] = value
		}
		if len(want) == 0 {
			t.Fatalf("%s asserts nothing", test)
		}
		r := format.NewReader(entry.Options{})
		i := 0
		var late []tallyman.Evidence // told when nothing more came
		var lateWant []string
		for _, raw := range read(t, "log-crowdsec/tests__"+test+"__"+test+".log") {
			if raw == "" {
				continue
			}
			w := want[i]
			i++
			got, result := r.Line(name, raw, now, nil)
			e, host, failed := failure(got)
			kind := w[`Evt.Meta["log_type"]`]
			switch {
			case kind == "auth_success":
				if len(got) != 1 || got[0].Kind != tallyman.KindLogin || !sameHost(clientOf(&got[0]), w[`Evt.Meta["source_ip"]`]) {
					t.Errorf("%s: %+v, want a login of %v", raw, got, w)
				}
			case w["Success"] == "true" && result.Outcome == entry.Noted && strings.Contains(raw, "pam_unix"), e.Raw != "" && e.Raw != raw && strings.Contains(raw, "pam_unix"):
				late = append(late, got...)
				lateWant = append(lateWant, w[`Evt.Meta["source_ip"]`])
			case w["Success"] == "true":
				if !failed || !sameHost(host, w[`Evt.Meta["source_ip"]`]) {
					t.Errorf("%s: %v %s %+v, want %v", raw, failed, host, result, w)
				}
				if user, ok := w[`Evt.Meta["target_user"]`]; ok && e.User != user {
					t.Errorf("%s: user %q, want %q", raw, e.User, user)
				}
			case failed:
				t.Errorf("%s: failed, want %v", raw, w)
			}
		}
		late = r.Settle(now.Add(time.Hour), late)
		if len(late) != len(lateWant) {
			t.Errorf("%s: %d failures were told late, want %v", test, len(late), lateWant)
			return
		}
		for n := range late {
			if clientOf(&late[n]) != lateWant[n] {
				t.Errorf("%s: %+v, want %s", test, late[n], lateWant[n])
			}
		}
	}
	f("vsftpd-logs", "vsftpd", "vsftpd-logs")
	f("sshd-logs", "sshd", "crowdsecurity/sshd-logs")
	f("sshd-success-logs", "sshd", "crowdsecurity/sshd-success-logs")
}

func TestOSSECSamplesGiveTheirResults(t *testing.T) {
	now := time.Date(2016, 12, 31, 0, 0, 0, 0, time.UTC)
	// The rule of OSSEC, and what it means.
	results := map[string]tallyman.Kind{
		"11222": tallyman.NoKind, "11205": tallyman.KindLogin, "11207": tallyman.KindLoginFailed, "11206": tallyman.KindLoginFailed,
		"11204": tallyman.KindLoginFailed, "11401": tallyman.NoKind, "11403": tallyman.KindLoginFailed,
	}
	f := func(file, name string) {
		t.Helper()
		r := format.NewReader(entry.Options{})
		var lines []string
		for _, raw := range read(t, "log-ossec/"+file) {
			if _, text, ok := strings.Cut(raw, " pass = "); ok {
				lines = append(lines, text)
			}
			rule, ok := strings.CutPrefix(raw, "rule = ")
			if !ok {
				continue
			}
			want, known := results[rule]
			if !known {
				t.Fatalf("what is rule %s?", rule)
			}
			for _, one := range lines {
				got, result := r.Line(name, one, now, nil)
				kind := tallyman.NoKind
				if len(got) > 0 {
					kind = got[0].Kind
				}
				if kind != want || result.Outcome == entry.Refused {
					t.Errorf("%s: %s %+v, want %s", one, kind, result, want)
				}
			}
			lines = nil
		}
	}
	f("contrib__ossec-testing__tests__proftpd.ini", "proftpd")
	f("contrib__ossec-testing__tests__vsftpd.ini", "vsftpd")
}

func TestOSSECLogEntriesAreAllUnderstood(t *testing.T) {
	now := time.Date(2006, 12, 31, 0, 0, 0, 0, time.UTC)
	f := func(file, name string, logins, failed, transfers int) {
		t.Helper()
		r := format.NewReader(entry.Options{})
		var all []tallyman.Evidence
		for _, raw := range read(t, "log-ossec/"+file) {
			var result entry.Result
			all, result = r.Line(name, raw, now, all)
			if result.Outcome == entry.Refused && !strings.HasPrefix(raw, ` `) && !strings.HasPrefix(raw, ` "`) {
				t.Errorf("%s: %s", result.Why, raw)
			}
		}
		got := map[tallyman.Kind]int{}
		for _, e := range all {
			got[e.Kind]++
		}
		if got[tallyman.KindLogin] != logins || got[tallyman.KindLoginFailed]+got[tallyman.KindCommandRefused] != failed || got[tallyman.KindClosed] != transfers {
			t.Errorf("%s: %v", file, got)
		}
	}
	f("etc__rules__log-entries__proftpd", "proftpd", 1, 6, 0)
	f("etc__rules__log-entries__ftpd", "ftpd", 1, 4, 0)
	f("etc__rules__log-entries__xferlog", "xferlog", 0, 0, 9)
}

func TestFormatOfAFileIsFound(t *testing.T) {
	c := line.Clock{Now: time.Date(2016, 12, 31, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	f := func(want string, lines ...string) {
		t.Helper()
		if got, ok := format.Detect(lines, c); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", lines[0], got, want)
		}
	}
	f(format.Syslog, read(t, "log-fail2ban/fail2ban__tests__files__logs__sshd")...)
	f(format.Syslog, read(t, "log-crowdsec/tests__ssh-bf__ssh-bf.log")...)
	f("vsftpd", read(t, "log-crowdsec/tests__vsftpd-bf__vsftpd-bf.log")...)
	f("xferlog", read(t, "log-ossec/etc__rules__log-entries__xferlog")...)
	f(format.Syslog, "Nov 20 17:42:01 vm kernel: x", "Nov 20 17:42:01 vm in.tftpd[1]: RRQ from 192.0.2.1 filename x")
	f(format.Syslog, "Nov 20 17:42:01 vm atftpd[1.2]: Serving x to 192.0.2.1:5")
	f("proftpd-extended", `localhost UNKNOWN u [27/Nov/2026:00:55:17 +0000] "STOR up a.bin" 226 3000000`)
	f("proftpd-extended", `[20/Nov/2026:17:42:04 +0000] 192.0.2.1 u "STOR up.bin" 226 6291456 1.054 f=/srv/up.bin why=- st=success type=binary ms=1054`)
	f("pure-ftpd-clf", `localhost - u [20/Nov/2026:17:47:08 -0000] "PUT /srv/up.bin" 200 6291456`)
	f("pure-ftpd-w3c", "#Fields: x", "2026-11-20 17:47:13 localhost []created /srv/up.bin 226 u 6291456")
	f("pure-ftpd-stats", "1795196838 6b0087a5.12a3 u localhost U 6225920 1 /srv/up.bin")
	f("sftpgo", `{"level":"info","time":"2026-11-20T17:42:01.123","sender":"Upload","protocol":"FTP"}`)
	f("", "hello", "world")
	f("", "Nov 20 17:42:01 vm kernel: x")
	f("", `192.0.2.1 - - [20/Nov/2026:17:47:08 +0000] "get / HTTP/1.1" 200 5 "-" "curl"`)
}
