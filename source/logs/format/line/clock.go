package line

import (
	"strings"
	"time"
)

// Clock resolves stamps. A stamp without a year belongs to the newest year that does not put it more than a day after Now; one without
// a zone is local time in Zone. Where the clock was set back, of two instants with one reading the newest that is not after Now is meant.
type Clock struct {
	Now  time.Time // when the line was read, or for an old file, when it was last written; zero = every stamp needs its year
	Zone *time.Location
}

// ahead is how far a stamp may lie after Now: clocks of hosts differ, and files are copied.
const ahead = 24 * time.Hour

// Stamp reads a stamp at the start of s, in any of the forms that syslog programs use:
//
//	Oct 11 01:06:47            Oct 11 2005 01:06:47
//	2025-03-04T01:06:36.645577 2015-04-16T18:02:50.321974+00:00  2013-11-16 21:59:30,121
func (c Clock) Stamp(s string) (t time.Time, rest string, ok bool) {
	if len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
		return c.iso(s)
	}
	d := reader{s: s}
	d.month()
	d.space()
	d.day()
	d.space()
	if len(d.s) > 5 && d.s[4] == ' ' {
		d.year4()
		d.space()
	}
	d.clock()
	return c.resolve(&d)
}

// Asctime reads "Fri Nov 20 17:42:01 2026", local time (asctime(3)). The name of the day is not compared.
func (c Clock) Asctime(s string) (t time.Time, rest string, ok bool) {
	d := reader{s: s}
	d.weekday()
	d.space()
	d.month()
	d.space()
	d.day()
	d.space()
	d.clock()
	d.space()
	d.year4()
	return c.resolve(&d)
}

// Common reads "20/Nov/2026:17:42:04 +0000", the stamp of the common log format.
func (c Clock) Common(s string) (t time.Time, rest string, ok bool) {
	d := reader{s: s}
	d.date.day = d.number(2)
	d.literal('/')
	d.month()
	d.literal('/')
	d.year4()
	d.literal(':')
	d.clock()
	d.space()
	d.zone()
	return c.resolve(&d)
}

// iso reads "2025-03-04T01:06:36.645577+01:00"; a space for the T, a comma for the point, and a zone that is missing are accepted.
func (c Clock) iso(s string) (t time.Time, rest string, ok bool) {
	d := reader{s: s}
	d.year4()
	d.literal('-')
	d.date.month = time.Month(d.number(2))
	d.literal('-')
	d.date.day = d.number(2)
	if strings.HasPrefix(d.s, "T") || strings.HasPrefix(d.s, " ") {
		d.s = d.s[1:]
	} else {
		d.bad = true
	}
	d.clock()
	if strings.HasPrefix(d.s, ".") || strings.HasPrefix(d.s, ",") {
		d.fraction()
	}
	if strings.HasPrefix(d.s, "+") || strings.HasPrefix(d.s, "-") || strings.HasPrefix(d.s, "Z") {
		d.zone()
	}
	return c.resolve(&d)
}

// ISO reads an ISO stamp at the start of s.
func (c Clock) ISO(s string) (t time.Time, rest string, ok bool) { return c.iso(s) }

func (c Clock) resolve(d *reader) (time.Time, string, bool) {
	if d.bad || d.date.month < 1 || d.date.month > 12 || d.date.day < 1 || d.date.day > 31 {
		return time.Time{}, "", false
	}
	zone := c.Zone
	if d.fixed != nil {
		zone = d.fixed
	}
	if zone == nil {
		zone = time.UTC
	}
	if d.hasYear {
		t, ok := d.date.in(d.date.year, zone, c.Now)
		return t, d.s, ok && d.date.year >= 1970 // earlier is no clock of a Unix host, and year 1 is no time at all
	}
	if c.Now.IsZero() {
		return time.Time{}, "", false
	}
	newest := c.Now.In(zone).Year() + 1
	for year := newest; year > newest-9; year-- { // 29 February comes again after at most eight years
		if t, ok := d.date.in(year, zone, c.Now); ok && !t.After(c.Now.Add(ahead)) {
			return t, d.s, true
		}
	}
	return time.Time{}, "", false
}

type date struct {
	year           int
	month          time.Month
	day            int
	hour, min, sec int
	nano           int
}

// in is the instant at which clocks in the zone showed the date in that year; false if the year has no such day.
func (d *date) in(year int, zone *time.Location, now time.Time) (time.Time, bool) {
	t := time.Date(year, d.month, d.day, d.hour, d.min, d.sec, d.nano, zone)
	if t.Day() != d.day || t.Month() != d.month {
		return time.Time{}, false
	}
	if zone != time.UTC {
		t = d.meant(t, now)
	}
	return t.UTC().Truncate(time.Microsecond), true
}

// meant chooses among the instants with one reading: the newest that is not after now, else the oldest. Package time does not say which it gives.
func (d *date) meant(t, now time.Time) time.Time {
	for _, step := range [...]time.Duration{time.Hour, -time.Hour} {
		other := t.Add(step)
		if other.Hour() != d.hour || other.Minute() != d.min {
			continue
		}
		early, late := t, other
		if step < 0 {
			early, late = other, t
		}
		if late.After(now) {
			return early
		}
		return late
	}
	return t
}

// reader takes parts off the front; after the first that is missing it is bad.
type reader struct {
	s       string
	date    date
	hasYear bool
	fixed   *time.Location
	bad     bool
}

func (d *reader) literal(c byte) {
	if d.bad || d.s == "" || d.s[0] != c {
		d.bad = true
		return
	}
	d.s = d.s[1:]
}

// space takes one or more.
func (d *reader) space() {
	d.literal(' ')
	for !d.bad && d.s != "" && d.s[0] == ' ' {
		d.s = d.s[1:]
	}
}

// number takes so many digits.
func (d *reader) number(n int) (v int) {
	if d.bad || len(d.s) < n {
		d.bad = true
		return 0
	}
	for i := range n {
		c := d.s[i]
		if c < '0' || c > '9' {
			d.bad = true
			return 0
		}
		v = v*10 + int(c-'0')
	}
	d.s = d.s[n:]
	return v
}

func (d *reader) year4() {
	d.date.year = d.number(4)
	d.hasYear = true
}

// day takes one or two digits.
func (d *reader) day() {
	if len(d.s) > 1 && d.s[1] >= '0' && d.s[1] <= '9' {
		d.date.day = d.number(2)
	} else {
		d.date.day = d.number(1)
	}
}

func (d *reader) clock() {
	d.date.hour = d.number(2)
	d.literal(':')
	d.date.min = d.number(2)
	d.literal(':')
	d.date.sec = d.number(2)
	if d.date.hour > 23 || d.date.min > 59 || d.date.sec > 60 {
		d.bad = true
	}
}

func (d *reader) fraction() {
	d.s = d.s[1:]
	scale, n := 100_000_000, 0
	for ; n < len(d.s) && d.s[n] >= '0' && d.s[n] <= '9'; n++ {
		d.date.nano += int(d.s[n]-'0') * scale
		scale /= 10
	}
	d.bad = d.bad || n == 0
	d.s = d.s[n:]
}

// zone takes "Z", "+0100", "+01:00" or "-0000".
func (d *reader) zone() {
	if strings.HasPrefix(d.s, "Z") {
		d.s, d.fixed = d.s[1:], time.UTC
		return
	}
	if d.s == "" || d.s[0] != '+' && d.s[0] != '-' {
		d.bad = true
		return
	}
	sign := 1
	if d.s[0] == '-' {
		sign = -1
	}
	d.s = d.s[1:]
	h := d.number(2)
	d.s = strings.TrimPrefix(d.s, ":")
	m := d.number(2)
	if h > 14 || m > 59 {
		d.bad = true
		return
	}
	if d.fixed = time.UTC; h+m > 0 {
		d.fixed = time.FixedZone("", sign*(h*3600+m*60))
	}
}

func (d *reader) month() {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	if len(d.s) < 3 {
		d.bad = true
		return
	}
	i := strings.Index(months, d.s[:3])
	if i < 0 || i%3 != 0 {
		d.bad = true
		return
	}
	d.date.month, d.s = time.Month(i/3+1), d.s[3:]
}

func (d *reader) weekday() {
	const days = "SunMonTueWedThuFriSat"
	if len(d.s) < 3 {
		d.bad = true
		return
	}
	if i := strings.Index(days, d.s[:3]); i < 0 || i%3 != 0 {
		d.bad = true
		return
	}
	d.s = d.s[3:]
}
