package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/rule"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// story is a log of requests, refusals, failed logins and nonsense.
func story() string {
	var b strings.Builder
	for i := range 40 {
		at := noon.Add(time.Duration(i) * 10 * time.Second).Format(time.Stamp)
		fmt.Fprintf(&b, "%s lab in.tftpd[%d]: RRQ from 10.0.0.%d filename f%d.bin\n", at, 800+i, i, i)
		fmt.Fprintf(&b, "%s lab in.tftpd[%d]: sending NAK (1, File not found) to 10.0.0.%d\n", at, 800+i, i)
		fmt.Fprintf(&b, "%s lab sshd[%d]: Failed password for root from 10.0.0.66 port %d ssh2\n", at, 900+i, 2000+i)
		fmt.Fprintf(&b, "what is this %d\n\n", i)
	}
	return b.String()
}

func config() Config { return Config{Zone: time.UTC, Now: noon.AddDate(0, 0, 1)} }

// told is what a replay told.
type told struct {
	lines []string
	sum   LogSummary
	err   error
}

func read(t testing.TB, cfg Config, content []byte) told {
	t.Helper()
	p, err := Open(cfg, []string{"-"}, bytes.NewReader(content))
	if err != nil {
		return told{err: err}
	}
	defer p.Close()
	var out told
	out.err = p.Run(t.Context(), func(r tallyman.Record, _ tallyman.Verdict) error {
		switch r := r.(type) {
		case *tallyman.Transfer:
			out.lines = append(out.lines, "transfer "+r.File()+" "+r.Judgement.Verdict.String())
		case *tallyman.Finding:
			out.lines = append(out.lines, "finding "+r.Rule)
		case *tallyman.Event:
			out.lines = append(out.lines, "event "+r.Kind)
		case *tallyman.Gap:
			out.lines = append(out.lines, "gap "+r.Why)
		}
		return nil
	})
	if s := p.Summary(); len(s.Logs) == 1 {
		out.sum = s.Logs[0]
	}
	return out
}

func count(list []string, start string) (n int) {
	for _, s := range list {
		if strings.HasPrefix(s, start) {
			n++
		}
	}
	return n
}

func TestEveryLineIsToldNotedOrRefused(t *testing.T) {
	got := read(t, config(), []byte(story()))
	if got.err != nil {
		t.Fatal(got.err)
	}
	if s := got.sum; s.Lines != 200 || s.Told != 120 || s.Noted != 40 || s.Refused != 40 || s.Format != "syslog" {
		t.Errorf("%+v", s)
	}
	if n := count(got.lines, "transfer"); n != 40 || count(got.lines, "event login-failed") != 40 || count(got.lines, "finding brute-force") != 1 {
		t.Errorf("%d transfers: %q", n, got.lines)
	}
	if f := got.sum.First; len(f) != firstRefused || f[1].Line != 9 || f[1].Raw != "what is this 1" || f[1].Why == "" {
		t.Errorf("%+v", f)
	}
}

func TestLogThatIsCutIsReadAsFarAsItGoes(t *testing.T) {
	whole := story()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, whole)
	z.Close()
	for n := 0; n < packed.Len(); n += 7 {
		got := read(t, config(), packed.Bytes()[:n])
		if got.err == nil {
			t.Fatalf("cut at %d of %d is no error", n, packed.Len())
		}
		if got.sum.Lines > 0 && count(got.lines, "gap ") != 1 {
			t.Fatalf("cut at %d: %q", n, got.lines)
		}
	}
	got := read(t, config(), packed.Bytes())
	if plain := read(t, config(), []byte(whole)); fmt.Sprint(got.lines) != fmt.Sprint(plain.lines) || got.err != nil {
		t.Errorf("packed %q, %v", got.lines, got.err)
	}
}

func TestLineThatNeverEndsIsRefusedInBoundedMemory(t *testing.T) {
	head := story()
	endless := io.MultiReader(strings.NewReader(head), io.LimitReader(repeat('x'), 32<<20), strings.NewReader("\n"+head))
	p, err := Open(config(), []string{"-"}, endless)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(t.Context(), func(tallyman.Record, tallyman.Verdict) error { return nil }); err != nil {
		t.Error(err)
	}
	if s := p.Summary().Logs[0]; s.Lines != 401 || s.Refused != 81 || s.Told != 240 {
		t.Errorf("%+v", s)
	}
}

// repeat is a reader of one byte without end.
type repeat byte

func (r repeat) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r)
	}
	return len(b), nil
}

func TestReplayStopsWhenItIsTold(t *testing.T) {
	for _, stop := range []string{"context", "tell"} {
		p, err := Open(config(), []string{"-"}, strings.NewReader(story()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		full := errors.New("the disk is full")
		n := 0
		err = p.Run(ctx, func(tallyman.Record, tallyman.Verdict) error {
			if n++; n < 3 {
				return nil
			}
			if stop == "tell" {
				return full
			}
			cancel()
			return nil
		})
		cancel()
		if err == nil || stop == "tell" && !errors.Is(err, full) || stop == "context" && !strings.Contains(err.Error(), "stopped") || n > 20 {
			t.Errorf("%s: %v after %d records", stop, err, n)
		}
		p.Close()
	}
}

// changed is a revision of a record.
func changed(n uint64, rev uint32, v tallyman.Verdict) *tallyman.Transfer {
	return &tallyman.Transfer{ID: tallyman.DrawUUID(noon, tallyman.ID{Seq: n}), Rev: rev, Start: noon.Add(time.Duration(n)), Judgement: tallyman.Judgement{Verdict: v}}
}

func TestTransferIsToldOnceItHasSettled(t *testing.T) {
	var got []string
	h := newHold(rule.New(rule.Defaults()), func(r tallyman.Record, was tallyman.Verdict) error {
		tr := r.(*tallyman.Transfer)
		got = append(got, fmt.Sprintf("%d %s was %d", tr.Rev, tr.Judgement.Verdict, was))
		return nil
	})
	step := func(after time.Duration, want string, records ...tallyman.Record) {
		t.Helper()
		got = nil
		if err := h.take(records, noon.Add(after)); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("after %s: %q, want %q", after, text, want)
		}
	}
	united := changed(3, 2, tallyman.Unproven)
	united.Merged = changed(1, 1, 0).ID
	step(0, "", changed(1, 1, tallyman.Unproven), changed(2, 1, tallyman.Active), changed(3, 1, tallyman.Unproven))
	step(60*time.Second, "", changed(1, 2, tallyman.Complete), united)
	step(139*time.Second, "")
	step(140*time.Second, "2 complete was 0")
	step(time.Hour, "") // what runs is not told
	step(time.Hour, "", changed(2, 2, tallyman.Failed))
	step(2*time.Hour, "2 failed was 0", changed(1, 3, tallyman.Contradicted))
	step(3*time.Hour, "3 contradicted was 2")
}

func TestFloodOfTransfersIsHeldInBoundedMemory(t *testing.T) {
	const flood = 2*leastTold + 2*mostHeld
	for _, c := range []struct {
		verdict tallyman.Verdict
		most    int
	}{{tallyman.Complete, mostHeld}, {tallyman.Active, mostRunning}} {
		n := 0
		h := newHold(rule.New(rule.Defaults()), func(tallyman.Record, tallyman.Verdict) error { n++; return nil })
		for i := range uint64(flood) {
			if err := h.take([]tallyman.Record{changed(i, 1, c.verdict)}, noon); err != nil {
				t.Fatal(err)
			}
			if len(h.held) > c.most || len(h.queue) > mostHeld || len(h.told) > leastTold || len(h.old) > leastTold {
				t.Fatalf("%s: %d are held, %d wait, %d and %d are remembered", c.verdict, len(h.held), len(h.queue), len(h.told), len(h.old))
			}
		}
		if err := h.end(); err != nil || n != flood {
			t.Errorf("%s: %d were told, %v", c.verdict, n, err)
		}
	}
}

// FuzzNothingOfAFileIsLost replays any bytes: they are refused with an error that names the file, or every line is accounted for.
func FuzzNothingOfAFileIsLost(f *testing.F) {
	f.Add([]byte(story()), "")
	f.Add([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00rest"), "")
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00"), "")
	f.Add([]byte("\x1f\x8b\x08\x00"), "")
	f.Add([]byte("a\x00b\nNov 20 12:00:00 lab in.tftpd[1]: RRQ from 10.0.0.1 filename x"), "tftpd-hpa")
	f.Add([]byte("\n\n\r\n"), "vsftpd")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		cfg := config()
		cfg.Format = name
		got := read(t, cfg, content)
		if s := got.sum; s.Lines != s.Told+s.Noted+s.Refused {
			t.Errorf("%+v", s)
		}
		if got.err != nil && !strings.Contains(got.err.Error(), "stdin") {
			t.Errorf("the error names no file: %v", got.err)
		}
		if s := got.sum; got.err == nil && s.Name != "" && len(content) > 0 && content[0] != 0x1f {
			want := int64(bytes.Count(content, []byte("\n")))
			if content[len(content)-1] != '\n' {
				want++
			}
			if s.Lines != want {
				t.Errorf("%d lines of %d", s.Lines, want)
			}
		}
	})
}

// exports is a journal as journalctl writes it, in both forms: the requests and refusals of story, and what journald dropped.
func exports() (object, fields string) {
	var a, b strings.Builder
	entry := func(at time.Time, ident string, pid int, message string) {
		us := at.UnixMicro()
		fmt.Fprintf(&a, `{"__CURSOR":"s=1;i=1","__REALTIME_TIMESTAMP":"%d","_HOSTNAME":"lab","_PID":"%d","SYSLOG_PID":"%d","SYSLOG_IDENTIFIER":"%s","MESSAGE":%q}`+"\n", us, pid, pid, ident, message)
		fmt.Fprintf(&b, "__CURSOR=s=1;i=1\n__REALTIME_TIMESTAMP=%d\n_HOSTNAME=lab\n_PID=%d\nSYSLOG_PID=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n\n", us, pid, pid, ident, message)
	}
	for i := range 40 {
		at := noon.Add(time.Duration(i) * 10 * time.Second)
		entry(at, "in.tftpd", 800+i, fmt.Sprintf("RRQ from 10.0.0.%d filename f%d.bin", i, i))
		entry(at, "cron", 1, "(root) CMD (nothing)")
		b.WriteString("__REALTIME_TIMESTAMP=1795740803495465\nSYSLOG_IDENTIFIER=other\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n\n")
		a.WriteString(`{"__REALTIME_TIMESTAMP":"1795740803495465","SYSLOG_IDENTIFIER":"other","MESSAGE":[97,10,98]}` + "\n")
		entry(at, "in.tftpd", 800+i, fmt.Sprintf("sending NAK (1, File not found) to 10.0.0.%d", i))
	}
	entry(noon.Add(time.Hour), "systemd-journald", 2, "Suppressed 4711 messages from tftpd-hpa.service")
	return a.String(), b.String()
}

func TestWhatJournalctlExportedIsReplayed(t *testing.T) {
	object, fields := exports()
	for _, text := range []string{object, fields} {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		for _, content := range [][]byte{[]byte(text), packed.Bytes()} {
			got := read(t, config(), content)
			if got.err != nil || count(got.lines, "transfer f") != 40 || count(got.lines, "gap journald suppressed") != 1 || got.sum.Format != "journal" || got.sum.Lines != 161 || got.sum.Told != 80 {
				t.Errorf("%.20q: %d lines, %+v, %v", text, len(got.lines), got.sum, got.err)
			}
			for _, l := range got.lines {
				if strings.HasPrefix(l, "transfer") && !strings.HasSuffix(l, " refused") {
					t.Error(l)
				}
			}
		}
		if got := read(t, config(), []byte(text[:len(text)-20])); got.err == nil || count(got.lines, "transfer f") != 40 || count(got.lines, "gap ") != 1 {
			t.Errorf("cut: %v, %v", got.lines, got.err)
		}
	}
	if got := read(t, config(), []byte(`{"__REALTIME_TIMESTAMP":"1795740803495465","SYSLOG_IDENTIFIER":"cron","MESSAGE":"x"}`+"\n")); got.err == nil || !strings.Contains(got.err.Error(), "no line in it is of a server") {
		t.Errorf("a journal of other programs: %v", got.err)
	}
}
