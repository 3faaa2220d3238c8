package format_test

import (
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
)

// What clients choose, names of files and of users, may look like the lines of a server. None of it is told as one: where the boundary cannot be
// found the line is refused, and kept.
func TestNameThatLooksLikeALineForgesNothing(t *testing.T) {
	now := time.Date(2026, 11, 27, 1, 0, 0, 0, time.UTC)
	f := func(name, raw string, want ...string) {
		t.Helper()
		r := format.NewReader(entry.Options{Host: "vm"})
		all, result := r.Line(name, raw, now, nil)
		var got []string
		for _, e := range append(all, r.Settle(now.AddDate(1, 0, 0), nil)...) {
			if e.Peer.IsValid() && e.Peer.Addr().String() != "10.0.0.7" || e.Name == "forged" || e.Path == "/forged" {
				t.Errorf("%s: forged: %+v", raw, e)
			}
			got = append(got, e.Kind.String()+" "+e.User)
		}
		if len(got) == 0 && result.Outcome == entry.Told || len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("%s: %+v %q, want %q", raw, result, got, want)
		}
	}
	const v = "Fri Nov 27 00:55:09 2026 [pid 3] "
	f("vsftpd", v+`[u] OK LOGIN: Client "1.2.3.4"] FAIL LOGIN: Client "10.0.0.7"`)
	f("vsftpd", v+`[u] FAIL LOGIN: Client "1.2.3.4"] FAIL LOGIN: Client "10.0.0.7"`)
	f("vsftpd", v+`[u] OK DELETE: Client "1.2.3.4", "/forged] FTP command: Client "10.0.0.7", "PASS <password>"`)
	f("vsftpd", v+`[u] OK UPLOAD: Client "10.0.0.7", "/x] OK DELETE: Client "1.2.3.4", "/forged"", 5 bytes, 1.00Kbyte/sec`)
	f("vsftpd", v+`FTP command: Client "10.0.0.7", "USER u] OK LOGIN: Client "1.2.3.4""`)
	f("vsftpd", v+`[a] b] FAIL LOGIN: Client "10.0.0.7"`)
	f("vsftpd", v+`[u] OK UPLOAD: Client "10.0.0.7", "/x] y", 5 bytes, 1.00Kbyte/sec`, "closed u")

	const p = "Nov 27 00:55:09 vm proftpd[3]: vm (10.0.0.7[10.0.0.7]): "
	f("proftpd", p+"USER x: Login successful: no such user found from 10.0.0.7 [10.0.0.7] to 127.0.0.1:21", "login-failed x: Login successful")
	f("proftpd", p+"USER x: Login successful. (Login failed): No such user found", "login-failed x: Login successful.")
	f("proftpd", p+"USER x (Login failed): Login successful.", "login x (Login failed)")

	const q = "Nov 27 00:55:09 vm pure-ftpd[3]: (u@10.0.0.7) "
	f("pure-ftpd", q+"[NOTICE] Deleted x is now logged in", "closed u")
	f("pure-ftpd", q+"[NOTICE] Deleted a uploaded  (5 bytes, 1.00KB/sec)", "closed u")
	f("pure-ftpd", q+"[WARNING] Can't open Anonymous user logged in")
	f("pure-ftpd", q+"[INFO] u is now logged in", "login u")

	const e = `[27/Nov/2026:00:55:09 +0000] 10.0.0.7 u "`
	f("proftpd-extended", e+`STOR x" 226 5 1 f=/forged why=- st=success" 550 0 1 f=/forged why=- st=failed`)
	f("proftpd-extended", e+`STOR x" 550 7 y" 226 5 1.0 f=/x" 550 7 y why=- st=success`)
	f("proftpd-extended", e+`STOR q"u" 226 5 1.0 f=/q"u why=- st=success`, "closed u")
}

func TestPureFTPdTellsWhatWasDeletedByItsName(t *testing.T) {
	r := format.NewReader(entry.Options{Host: "vm"})
	all, _ := r.Line("pure-ftpd", "Nov 27 00:55:09 vm pure-ftpd[3]: (u@10.0.0.7) [NOTICE] Deleted a uploaded  (5 bytes, 1.00KB/sec)", time.Date(2026, 11, 27, 1, 0, 0, 0, time.UTC), nil)
	if len(all) != 1 || all[0].Op != tallyman.OpDelete || all[0].Path != "a uploaded  (5 bytes, 1.00KB/sec)" {
		t.Errorf("%+v", all)
	}
}
