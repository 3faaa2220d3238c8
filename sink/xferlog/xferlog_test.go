package xferlog_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
	"tallyman/sink/xferlog"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
)

var at = time.Date(2026, 11, 2, 17, 42, 1, 0, time.UTC)

// record is a transfer of ours that ended with a reason.
func record(n int, op tallyman.Op, path string, v tallyman.Verdict, why tallyman.Reason) *tallyman.Transfer {
	return &tallyman.Transfer{
		ID: tallyman.DrawUUID(at, tallyman.ID{Seq: uint64(n)}), Rev: 2, Start: at.Add(-1600 * time.Millisecond), End: at, Proto: "sftp", Op: op,
		Client: netip.MustParseAddrPort("[::ffff:192.0.2.1]:4711"), User: "ann", Proc: tallyman.Proc{PID: 7}, Path: path, Expected: -1, Bytes: 4096,
		Judgement: tallyman.Judgement{Verdict: v, Reason: why, For: []string{"server"}},
	}
}

func open(t *testing.T, file string, f xferlog.Format) *xferlog.Sink {
	t.Helper()
	s, err := xferlog.Open(xferlog.Config{File: file, Format: f, Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, s *xferlog.Sink, records ...tallyman.Record) {
	t.Helper()
	if err := s.Write(t.Context(), tallyman.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// written is what a new file of the format holds after the records.
func written(t *testing.T, f xferlog.Format, records ...tallyman.Record) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	s := open(t, file, f)
	write(t, s, records...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return content(t, file)
}

func is(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestLinesAreThoseOfTheServersWhoseFormatTheyAre(t *testing.T) {
	put := record(1, tallyman.OpPut, "/srv/a b\n\x1b\xff.bin", tallyman.Complete, tallyman.Stored)
	cut := record(2, tallyman.OpAppend, "/srv/cut", tallyman.Failed, tallyman.NoCloseNotify)
	get := record(3, tallyman.OpGet, "/srv/ü", tallyman.Unproven, tallyman.DeliveredUnconfirmed)
	get.User, get.Proto, get.Details = "", "tftp", `{"mode":"netascii"}`
	gone := record(4, tallyman.OpDelete, "/srv/old", tallyman.NoVerdict, tallyman.ClosedWell)
	gone.Bytes = -1
	event := func(n int, kind, user string) *tallyman.Event {
		return &tallyman.Event{
			ID: tallyman.DrawUUID(at, tallyman.ID{Seq: uint64(n)}), At: at, Witness: "server", Kind: kind, User: user, Proc: put.Proc,
			Client: put.Client,
		}
	}
	all := []tallyman.Record{put, cut, gone, event(5, "login", "ann"), event(6, "login-failed", `x] FAIL "y`), event(7, "command-refused", "ann"), get}
	is(t, written(t, xferlog.Xferlog, all...), `Mon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /srv/a_b___.bin b _ i r ann sftp 0 * c
Mon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /srv/cut b _ i r ann sftp 0 * i
Mon Nov  2 17:42:01 2026 2 192.0.2.1 0 /srv/old b _ d r ann sftp 0 * c
Mon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /srv/ü a _ o a - tftp 0 * i
`)
	is(t, written(t, xferlog.CLF, all...), `192.0.2.1 - ann [02/Nov/2026:17:42:01 -0000] "PUT /srv/a%20b%0A%1B%FF.bin" 200 4096
192.0.2.1 - ann [02/Nov/2026:17:42:01 -0000] "PUT /srv/cut" 426 4096
192.0.2.1 - - [02/Nov/2026:17:42:01 -0000] "GET /srv/%C3%BC" 426 4096
`)
	is(t, written(t, xferlog.Vsftpd, all...), `Mon Nov  2 17:42:01 2026 [pid 7] [ann] OK UPLOAD: Client "192.0.2.1", "/srv/a b???.bin", 4096 bytes, 2.50Kbyte/sec
Mon Nov  2 17:42:01 2026 [pid 7] [ann] FAIL UPLOAD: Client "192.0.2.1", "/srv/cut", 4096 bytes, 2.50Kbyte/sec
Mon Nov  2 17:42:01 2026 [pid 7] [ann] OK LOGIN: Client "192.0.2.1"
Mon Nov  2 17:42:01 2026 [pid 7] [x__FAIL__y] FAIL LOGIN: Client "192.0.2.1"
Mon Nov  2 17:42:01 2026 [pid 7] [-] FAIL DOWNLOAD: Client "192.0.2.1", "/srv/ü", 4096 bytes, 2.50Kbyte/sec
`)
}

// TestFail2banSeesFailedLoginsAndNoForgedOnes holds the lines against the second failregex of fail2ban 1.0.2, filter.d/vsftpd.conf, which sees what
// stands behind the time.
func TestFail2banSeesFailedLoginsAndNoForgedOnes(t *testing.T) {
	failregex := regexp.MustCompile(`^ \[pid \d+\] \[[^\]]+\] FAIL LOGIN: Client "(192\.0\.2\.\d+)"(?:\s*$|,)`)
	forged := ` [pid 1] [x] FAIL LOGIN: Client "192.0.2.9"`
	cut := record(1, tallyman.OpPut, "/srv/"+forged+"\n"+at.Format(time.ANSIC)+forged, tallyman.Failed, tallyman.ClientGone)
	cut.User = "ann]" + forged
	failed := &tallyman.Event{ID: cut.ID, At: at, Witness: "server", Kind: "login-failed", User: "ann]" + forged, Client: cut.Client}
	failed.ID[0]++
	var banned []string
	for line := range strings.Lines(written(t, xferlog.Vsftpd, cut, failed)) {
		if m := failregex.FindStringSubmatch(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), at.Format(time.ANSIC))); m != nil {
			banned = append(banned, m[1])
		}
	}
	if len(banned) != 1 || banned[0] != "192.0.2.1" {
		t.Error(banned)
	}
}

func TestWhatHasNoLineIsNotWritten(t *testing.T) {
	running := record(1, tallyman.OpPut, "/a", tallyman.Active, "")
	running.End = time.Time{}
	merged := record(2, tallyman.OpPut, "/b", tallyman.Complete, tallyman.Stored)
	merged.Merged = running.ID
	others := record(3, tallyman.OpGet, "/c", tallyman.Unproven, tallyman.LogOnly)
	others.Judgement.For = []string{"log", "files"}
	for _, f := range []xferlog.Format{xferlog.Xferlog, xferlog.CLF, xferlog.Vsftpd} {
		got := written(t, f, running, merged, others,
			record(4, tallyman.OpGet, "/d", tallyman.Refused, tallyman.NotFound), record(5, tallyman.OpGet, "/e", tallyman.Probe, tallyman.SizeProbe),
			record(6, tallyman.OpList, "/f", tallyman.Complete, tallyman.ClosedWell), record(7, tallyman.OpDelete, "/g", tallyman.NoVerdict, tallyman.NotFound),
			&tallyman.Event{Witness: "log", Kind: "login-failed", Client: running.Client}, &tallyman.Gap{})
		is(t, got, "")
	}
}

func TestLinesAreReadBackByTheWitnessOfLogs(t *testing.T) {
	for _, x := range []struct {
		f    xferlog.Format
		name string
		path func(string) string
	}{
		{xferlog.Xferlog, "xferlog", strings.NewReplacer(" ", "_", "\n", "_").Replace},
		{xferlog.CLF, "pure-ftpd-clf", strings.Clone},
		{xferlog.Vsftpd, "vsftpd", strings.NewReplacer("\n", "?").Replace},
	} {
		for i, path := range []string{"/srv/a", "/srv/a b", "/srv/x b _ i r u ftp 0 * c", "/srv/q\" 200 5", "/srv/\n", "/srv/ü%41"} {
			for _, whole := range []bool{true, false} {
				tr := record(i, tallyman.OpPut, path, tallyman.Complete, tallyman.Stored)
				if !whole {
					tr.Judgement.Verdict, tr.Judgement.Reason = tallyman.Aborted, tallyman.Kicked
				}
				raw := strings.TrimSuffix(written(t, x.f, tr), "\n")
				r := format.NewReader(entry.Options{Host: "h"})
				got, result := r.Line(x.name, raw, at, nil)
				if len(got) != 1 {
					t.Errorf("%s: %q: %d pieces of evidence, %+v", x.name, raw, len(got), result)
					continue
				}
				e := &got[0]
				if e.Kind != tallyman.KindClosed || e.Op != tr.Op || e.Path != x.path(path) || e.Moved != tr.Bytes || e.User != tr.User || e.Peer.Addr() != tr.Client.Addr().Unmap() ||
					!e.Time.Equal(at) || (e.Reason == tallyman.Stored) != whole {
					t.Errorf("%s: %q read back as %+v", x.name, raw, e)
				}
			}
		}
	}
}

func TestRecordThatIsJudgedAnewHasOneLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	s := open(t, file, xferlog.Xferlog)
	a, b := record(1, tallyman.OpPut, "/a", tallyman.Complete, tallyman.Stored), record(2, tallyman.OpPut, "/b", tallyman.Complete, tallyman.Stored)
	write(t, s, a, a)
	again := *a
	again.Rev = 3
	write(t, s, &again, b)
	if got := content(t, file); strings.Count(got, "\n") != 2 || strings.Count(got, "/a ") != 1 || strings.Count(got, "/b ") != 1 {
		t.Error(got)
	}
	if lines, failed := s.Counts(); lines != 2 || failed != 0 {
		t.Error(lines, failed)
	}
}

func TestUnprovenWaitsForItsProof(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, file, xferlog.Xferlog)
		early, late := record(1, tallyman.OpPut, "/a", tallyman.Unproven, tallyman.ReplyUnacknowledged), record(2, tallyman.OpPut, "/b", tallyman.Unproven, tallyman.ReplyUnacknowledged)
		write(t, s, early, late)
		is(t, content(t, file), "")
		write(t, s, record(1, tallyman.OpPut, "/a", tallyman.Complete, tallyman.ReplyAcknowledged))
		first := "Mon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /a b _ i r ann sftp 0 * c\n"
		is(t, content(t, file), first)
		<-time.After(5 * time.Second)
		synctest.Wait()
		is(t, content(t, file), first+"Mon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /b b _ i r ann sftp 0 * i\n")
	})
}

// TestLogrotateLosesNoLine rotates by moving and by copytruncate, with logrotate's own steps.
func TestLogrotateLosesNoLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	s := open(t, file, xferlog.CLF)
	n := 0
	next := func() string {
		n++
		write(t, s, record(n, tallyman.OpPut, fmt.Sprintf("/n%d", n), tallyman.Complete, tallyman.Stored))
		return fmt.Sprintf(`192.0.2.1 - ann [02/Nov/2026:17:42:01 -0000] "PUT /n%d" 200 4096`+"\n", n)
	}
	first := next()
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	second := next()
	is(t, content(t, file+".1"), first)
	is(t, content(t, file), second)
	if err := os.Rename(file, file+".2"); err != nil { // create
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	third := next()
	is(t, content(t, file+".2"), second)
	is(t, content(t, file), third)
	if err := exec.CommandContext(t.Context(), "cp", file, file+".3").Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 0); err != nil { // copytruncate
		t.Fatal(err)
	}
	fourth := next()
	is(t, content(t, file+".3"), third)
	is(t, content(t, file), fourth)
}

func TestFailedWriteIsCountedAndComesAgain(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "log")
	s := open(t, file, xferlog.Xferlog)
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	b := tallyman.Batch{Records: []tallyman.Record{record(1, tallyman.OpPut, "/a", tallyman.Complete, tallyman.Stored)}}
	if err := s.Write(t.Context(), b); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	if lines, failed := s.Counts(); lines != 0 || failed != 1 {
		t.Error(lines, failed)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, s, b.Records...)
	is(t, content(t, file), "Mon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /a b _ i r ann sftp 0 * c\n")
}

func TestLineThatACrashCutIsEnded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("Mon Nov  2 17:4"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, file, xferlog.Xferlog), record(1, tallyman.OpPut, "/a", tallyman.Complete, tallyman.Stored))
	is(t, content(t, file), "Mon Nov  2 17:4\nMon Nov  2 17:42:01 2026 2 192.0.2.1 4096 /a b _ i r ann sftp 0 * c\n")
}
