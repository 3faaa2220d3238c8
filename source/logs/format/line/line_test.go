package line_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"tallyman/source/logs/format/line"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestHeadIsTakenOffEachFormOfLine(t *testing.T) {
	c := line.Clock{Now: time.Date(2005, 8, 15, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	f := func(s, at, host, ident, tag, message string) {
		t.Helper()
		h, m, ok := line.Parse(s, c)
		if !ok || h.Time.Format(time.RFC3339Nano) != at || h.Host != host || h.Ident != ident || h.Tag != tag || m != message {
			t.Errorf("%q: %v %+v %q", s, ok, h, m)
		}
	}
	f("Oct 11 01:06:47 ServerJV vsftpd: (pam_unix) x", "2004-10-11T01:06:47Z", "ServerJV", "vsftpd", "", "(pam_unix) x")
	f("Feb  1 00:00:00 myhost proftpd[12345] a (b[1.2.3.4]): x ", "2005-02-01T00:00:00Z", "myhost", "proftpd", "12345", "a (b[1.2.3.4]): x ")
	f("Mar  3 00:17:22 [sshd]: User root", "2005-03-03T00:17:22Z", "", "sshd", "", "User root")
	f("Jun 25 23:53:34 [sshd] User root", "2005-06-25T23:53:34Z", "", "sshd", "", "User root")
	f("Nov 23 21:50:19 sshd[8148]: Disconnecting", "2004-11-23T21:50:19Z", "", "sshd", "8148", "Disconnecting")
	f("2013-11-16 21:59:30,121 novo proftpd[25891] localhost x", "2013-11-16T21:59:30.121Z", "novo", "proftpd", "25891", "localhost x")
	f("2025-03-04T01:06:36.645577 h.x vsftpd[1658]: [u] x", "2025-03-04T01:06:36.645577Z", "h.x", "vsftpd", "1658", "[u] x")
	f("2015-04-16T18:02:50.321974+02:00 host sshd[2716]: y", "2015-04-16T16:02:50.321974Z", "host", "sshd", "2716", "y")
	f(`<38>1 2019-07-08T17:40:17.954167-04:00 h.c sshd 55555 - [a b="1"][x@1 t="[br]"] z`, "2019-07-08T21:40:17.954167Z", "h.c", "sshd", "55555", "z")
	f("<38>1 2019-07-08T17:40:17Z - sshd - - - z", "2019-07-08T17:40:17Z", "", "sshd", "", "z")
	f("<29>Nov 20 17:42:01 in.tftpd[12]: RRQ  ", "2004-11-20T17:42:01Z", "", "in.tftpd", "12", "RRQ  ")
	f("Feb 6 12:02:29 server vsftpd(pam_unix)[15522]: y", "2005-02-06T12:02:29Z", "server", "vsftpd", "15522", "y")
	f("Nov 20 17:42:01 vm atftpd[123.456]: y", "2004-11-20T17:42:01Z", "vm", "atftpd", "123.456", "y")
	f("Oct 11 2003 01:06:47 h in.ftpd[1]: y", "2003-10-11T01:06:47Z", "h", "in.ftpd", "1", "y")
}

func TestLineWithoutHeadIsRefused(t *testing.T) {
	c := line.Clock{Now: time.Date(2026, 8, 15, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	f := func(s string) {
		t.Helper()
		if h, m, ok := line.Parse(s, c); ok {
			t.Errorf("%q: %+v %q", s, h, m)
		}
	}
	f("")
	f("RRQ from 1.2.3.4 filename forged")
	f("Oct 11 01:06:47")
	f("Oct 11 25:06:47 h sshd[1]: x")
	f("Okt 11 01:06:47 h sshd[1]: x")
	f("Oct 11 01:06:47 h sshd[1x]: x")
	f("Feb 30 01:06:47 h sshd[1]: x")
	f("Oct 11 01:06:47 h\x1b sshd[1]: x")
	f("<38>1 2019-07-08T17:40:17Z h sshd 1 - [a z")
	f("<999>Oct 11 01:06:47 h sshd[1]: x")
}

func TestDatagramHasNoHost(t *testing.T) {
	c := line.Clock{Now: time.Date(2026, 8, 15, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	h, m, ok := line.Datagram("<30>Aug 14 01:02:03 in.tftpd[7]: RRQ from 1.2.3.4 filename x:y", c)
	if !ok || h.Host != "" || h.Ident != "in.tftpd" || h.PID() != 7 || m != "RRQ from 1.2.3.4 filename x:y" {
		t.Errorf("%v %+v %q", ok, h, m)
	}
	if h, _, ok := line.Datagram("<30>Aug 14 01:02:03 host in.tftpd[7]: x", c); ok {
		t.Errorf("a host became %+v", h)
	}
}

func TestYearIsTheNewestThatIsNotAhead(t *testing.T) {
	f := func(now, stamp, want string) {
		t.Helper()
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		got, _, ok := line.Clock{Now: at, Zone: time.UTC}.Stamp(stamp)
		if !ok || got.Format(time.RFC3339) != want {
			t.Errorf("%s at %s is %v, want %s", stamp, now, got, want)
		}
	}
	f("2026-01-01T00:00:05Z", "Dec 31 23:59:59", "2025-12-31T23:59:59Z")
	f("2025-12-31T23:59:59Z", "Jan  1 00:00:01", "2026-01-01T00:00:01Z") // a clock that goes before ours
	f("2026-01-01T00:00:05Z", "Jan  1 00:00:04", "2026-01-01T00:00:04Z")
	f("2026-03-01T00:00:00Z", "Mar  2 01:00:00", "2025-03-02T01:00:00Z")
	f("2026-03-01T00:00:00Z", "Feb 29 01:00:00", "2024-02-29T01:00:00Z")
	f("2103-03-01T00:00:00Z", "Feb 29 01:00:00", "2096-02-29T01:00:00Z") // 2100 has none
}

func TestLocalTimeIsResolvedAcrossTheChangeOfClocks(t *testing.T) {
	z := zone(t, "Europe/Zurich")
	f := func(now, stamp, want string) {
		t.Helper()
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		got, _, ok := line.Clock{Now: at, Zone: z}.Stamp(stamp)
		if !ok || got.Format(time.RFC3339) != want {
			t.Errorf("%s at %s is %v, want %s", stamp, now, got, want)
		}
	}
	f("2026-10-25T00:30:10Z", "Oct 25 02:30:00", "2026-10-25T00:30:00Z") // summer time, first pass
	f("2026-10-25T01:30:10Z", "Oct 25 02:30:00", "2026-10-25T01:30:00Z") // second pass
	f("2026-12-01T00:00:00Z", "Oct 25 01:59:59", "2026-10-24T23:59:59Z")
	f("2026-12-01T00:00:00Z", "Oct 25 03:00:00", "2026-10-25T02:00:00Z")
	f("2026-12-01T00:00:00Z", "Jul  1 12:00:00", "2026-07-01T10:00:00Z")
}

func TestOtherStampsAreRead(t *testing.T) {
	c := line.Clock{Zone: zone(t, "Europe/Zurich")}
	f := func(got time.Time, rest string, ok bool, want string) {
		t.Helper()
		if !ok || got.Format(time.RFC3339) != want || rest != " x" {
			t.Errorf("%v %q %v, want %s", got, rest, ok, want)
		}
	}
	at, rest, ok := c.Asctime("Fri Jan  9 12:20:33 2007 x")
	f(at, rest, ok, "2007-01-09T11:20:33Z")
	at, rest, ok = c.Common("20/Nov/2026:17:42:04 -0000 x")
	f(at, rest, ok, "2026-11-20T17:42:04Z")
	at, rest, ok = c.Common("20/Nov/2026:17:42:04 +0530 x")
	f(at, rest, ok, "2026-11-20T12:12:04Z")
	if at, _, ok := c.Stamp("Oct 11 01:06:47 x"); ok {
		t.Errorf("without a reference a stamp has no year, and became %v", at)
	}
}

// The message is the end of the line, byte for byte, and the head holds no control characters.
func FuzzParse(f *testing.F) {
	f.Add("Oct 11 01:06:47 h vsftpd[1]: x")
	f.Add(`<38>1 2019-07-08T17:40:17Z h sshd 55555 - [a b="1"] z`)
	f.Add("2013-11-16 21:59:30,121 novo proftpd[25891] l")
	f.Add("Jun 25 23:53:34 [sshd] User root\n")
	f.Add("0001-01-01 00:00:000:")
	c := line.Clock{Now: time.Date(2026, 8, 15, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	f.Fuzz(func(t *testing.T, s string) {
		h, m, ok := line.Parse(s, c)
		if !ok {
			return
		}
		if !strings.HasSuffix(s, m) || h.Ident == "" || h.Time.IsZero() || h.Time.After(c.Now.AddDate(8000, 0, 0)) {
			t.Errorf("%q: %+v %q", s, h, m)
		}
		for _, part := range []string{h.Host, h.Ident, h.Note} {
			if strings.ContainsAny(part, "\n\x1b\r\t ") || !strings.Contains(s, part) {
				t.Errorf("%q: %+v", s, h)
			}
		}
	})
}

// FuzzDatagram: what a program sent to /dev/log is its message, byte for byte, without a host.
func FuzzDatagram(f *testing.F) {
	f.Add("<30>Aug 14 01:02:03 in.tftpd[7]: RRQ from 1.2.3.4 filename a\nb")
	f.Add("<30>in.tftpd[7]: x")
	c := line.Clock{Now: time.Date(2026, 8, 15, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	f.Fuzz(func(t *testing.T, s string) {
		h, m, ok := line.Datagram(s, c)
		if ok && (!strings.HasSuffix(s, m) || h.Ident == "" || h.Host != "" || strings.ContainsAny(h.Ident, "\n\x1b\r\t ")) {
			t.Errorf("%q: %+v %q", s, h, m)
		}
	})
}
