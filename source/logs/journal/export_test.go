package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// exported writes an entry as journalctl -o export does: what is no text stands behind its length.
func exported(fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == '\uFFFD' }) {
			b.WriteString(name + "\n" + string(binary.LittleEndian.AppendUint64(nil, uint64(len(value)))) + value + "\n")
		} else {
			b.WriteString(name + "=" + value + "\n")
		}
	}
	return b.String() + "\n"
}

// asObject writes it as -o json does.
func asObject(fields ...string) string {
	var parts []string
	seen := map[string][]string{}
	for i := 0; i < len(fields); i += 2 {
		seen[fields[i]] = append(seen[fields[i]], string(asJSON(fields[i+1])))
	}
	for i := 0; i < len(fields); i += 2 {
		if v := seen[fields[i]]; v != nil {
			value := v[0]
			if len(v) > 1 {
				value = "[" + strings.Join(v, ",") + "]"
			}
			parts = append(parts, fmt.Sprintf("%q:%s", fields[i], value))
			delete(seen, fields[i])
		}
	}
	return "{" + strings.Join(parts, ",") + "}\n"
}

// read reads an export to its end; refused entries are "refused".
func readExport(text string) (got []string, err error) {
	x := NewExport(bufio.NewReaderSize(strings.NewReader(text), 16))
	for {
		entries, err := x.Next()
		switch {
		case errors.Is(err, ErrEntry):
			got = append(got, "refused")
		case err != nil:
			return got, err
		}
		for _, e := range entries {
			got = append(got, fmt.Sprintf("%s %s[%s] %d %s: %q %q", e.Time.Format(time.RFC3339Nano), e.Ident, e.Tag, e.PID, e.Host, e.Message, e.Raw))
		}
	}
}

func TestAnExportIsReadInEachOfItsForms(t *testing.T) {
	stamp := []string{"__CURSOR", "s=a;i=1", "__REALTIME_TIMESTAMP", "1795740803495465", "_HOSTNAME", "vm", "_PID", "12", "SYSLOG_PID", "7", "SYSLOG_IDENTIFIER", "in.tftpd"}
	f := func(want []string, more ...string) {
		t.Helper()
		fields := append(append([]string{}, stamp...), more...)
		for _, form := range []string{exported(fields...), asObject(fields...), "\x1e" + asObject(fields...)} {
			two := form + form
			if !IsExport([]byte(two)) {
				t.Errorf("not recognised: %.60q", two)
			}
			got, err := readExport(two)
			if fmt.Sprint(got) != fmt.Sprint(append(append([]string{}, want...), want...)) || !errors.Is(err, io.EOF) {
				t.Errorf("%.80q: %q, %v; want twice %q", two, got, err, want)
			}
		}
	}
	head := "2026-11-27T00:53:23.495465Z in.tftpd[7] 12 vm: "
	f([]string{head + `"plain" ""`}, "MESSAGE", "plain")
	f([]string{head + `"a\nRRQ\x1b" ""`}, "MESSAGE", "a\nRRQ\x1b")
	f([]string{head + `"a=\xff\xfe\n\n" ""`}, "MESSAGE", "a=\xff\xfe\n\n")
	f([]string{head + `"one" ""`, head + `"two\n" ""`}, "MESSAGE", "one", "MESSAGE", "two\n")
	f([]string{head + `"x" "<29>x "`}, "MESSAGE", "x", "SYSLOG_RAW", "<29>x ", "_UNKNOWN", "\x00\n\n__CURSOR=")
	f([]string{"2026-11-27T00:53:22Z" + strings.TrimPrefix(head, "2026-11-27T00:53:23.495465Z") + `"x" ""`}, "_SOURCE_REALTIME_TIMESTAMP", "1795740802000000", "MESSAGE", "x")
	f([]string{"refused"}, "MESSAGE", strings.Repeat("\n", 4<<20)) // hidden, as journalctl hides it; as JSON it is too long
}

func TestAnExportThatIsCutOrDamagedSaysSo(t *testing.T) {
	whole := exported("__CURSOR", "c", "__REALTIME_TIMESTAMP", "1795740803495465", "MESSAGE", "one\n")
	f := func(text string, entries int, cut bool) {
		t.Helper()
		got, err := readExport(text)
		if len(got) != entries || errors.Is(err, io.EOF) == cut {
			t.Errorf("%.60q: %q, %v", text, got, err)
		}
	}
	f(whole+whole, 2, false)
	f(whole+whole[:len(whole)-3], 1, true) // in the middle of the bytes
	f(whole+"MESSAGE\n\x01\x00", 1, true)
	f(whole+"__REALTIME_TIMESTAMP=1\nMESSAGE=in the mid", 1, true)
	f(whole+"__REALTIME_TIMESTAMP=1\nMESSAGE=without the empty line\n", 1, true)
	f(whole+"MESSAGE\n\x00\x00\x00\x00\x00\x00\x00\x80x", 1, true) // a length that cannot be
	f(whole+"MESSAGE\n\x01\x00\x00\x00\x00\x00\x00\x00xy\n\n", 1, true)
	f("__CURSOR=c\nMESSAGE=without time\n\n"+whole, 2, false)
	f(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}`+"\n"+`{"nonsense`+"\n"+`{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}`, 3, false)
	f(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}`+"\n"+`{"__REALTIME`, 1, true)
	for _, no := range []string{"", "{", `{"level":"info"}`, "Nov 20 in.tftpd[7]: x", "\x1e"} {
		if IsExport([]byte(no)) {
			t.Errorf("%q is taken for a journal", no)
		}
	}
}

// What is read from one form, and written in the other, is read from that as the same.
func FuzzExport(f *testing.F) {
	f.Add([]byte(exported("__CURSOR", "c", "__REALTIME_TIMESTAMP", "1795740803495465", "MESSAGE", "one\n", "MESSAGE", "\xff")))
	f.Add([]byte(asObject("__CURSOR", "c", "__REALTIME_TIMESTAMP", "1795740803495465", "MESSAGE", "one\n", "_PID", "7")))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := NewExport(bufio.NewReader(strings.NewReader(string(b))))
		for {
			entries, err := x.Next()
			if err != nil && !errors.Is(err, ErrEntry) {
				return
			}
			for _, e := range entries {
				fields := []string{
					"__CURSOR", "c", "__REALTIME_TIMESTAMP", fmt.Sprint(e.Time.UnixMicro()), "SYSLOG_IDENTIFIER", e.Ident, "_PID", fmt.Sprint(e.PID), "MESSAGE", e.Message,
				}
				for _, text := range []string{exported(fields...), asObject(fields...)} {
					again, err := NewExport(bufio.NewReader(strings.NewReader(text))).Next()
					if err != nil || len(again) != 1 || again[0].Message != e.Message || again[0].Ident != e.Ident || again[0].PID != e.PID || !again[0].Time.Equal(e.Time) {
						t.Fatalf("%q became %+v, %v", text, again, err)
					}
				}
			}
		}
	})
}
