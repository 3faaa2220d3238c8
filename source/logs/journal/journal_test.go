package journal

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const head = `"__CURSOR":"s=a;i=1;b=c;m=1;t=61377cb37629;x=1","__REALTIME_TIMESTAMP":"1795740803495465","_PID":"12","SYSLOG_PID":"7","SYSLOG_IDENTIFIER":"in.tftpd","_HOSTNAME":"vm"`

func TestMessageIsReadInEachOfItsForms(t *testing.T) {
	f := func(field string, want ...string) {
		t.Helper()
		got, err := decode([]byte("{" + head + `,"MESSAGE":` + field + "}"))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %+v, %v", field, got, err)
		}
		for i, e := range got {
			if e.Message != want[i] || e.PID != 12 || e.Tag != "7" || e.Ident != "in.tftpd" || e.Host != "vm" || e.Time != time.UnixMicro(1795740803495465).UTC() {
				t.Errorf("%s: %+v", field, e)
			}
		}
	}
	f(`"plain"`, "plain")
	f(`"a\nb\t\u001b"`, "a\nb\t\x1b")
	f(`[101,27,91,255,10]`, "e\x1b[\xff\n")
	f(`[]`)
	f(`["one","two"]`, "one", "two")
	f(`["one",[255,254]]`, "one", "\xff\xfe")
	if got, err := decode([]byte("{" + head + `,"MESSAGE":null}`)); !errors.Is(err, errTooLarge) || len(got) != 1 || got[0].Cursor == "" {
		t.Errorf("a hidden message: %+v, %v", got, err)
	}
	for _, bad := range []string{`{`, `{"MESSAGE":"x"}`, `{"__CURSOR":"c","MESSAGE":"x"}`, "{" + head + `,"MESSAGE":[300]}`, "{" + head + `,"MESSAGE":{}}`} {
		if got, err := decode([]byte(bad)); err == nil {
			t.Errorf("%s became %+v", bad, got)
		}
	}
}

// Whatever a program sends comes back byte for byte, as journalctl prints it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("RRQ from 1.2.3.4 filename x"))
	f.Add([]byte("e\x1b[31m\xff\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		var field []byte
		if utf8.Valid(message) {
			field, _ = json.Marshal(string(message))
		} else {
			numbers := make([]int, len(message))
			for i, b := range message {
				numbers[i] = int(b)
			}
			field, _ = json.Marshal(numbers)
		}
		got, err := decode([]byte("{" + head + `,"MESSAGE":` + string(field) + "}"))
		if err != nil || len(got) != 1 || got[0].Message != string(message) {
			t.Errorf("%q: %+v, %v", message, got, err)
		}
	})
}

// fake is a journalctl that follows a file, entry by entry.
func fake(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journalctl")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func entry(number, text string) string {
	return `{"__CURSOR":"s=a;i=` + number + `;b=c;m=1;t=61377cb3` + number + `;x=1","__REALTIME_TIMESTAMP":"1795740803495465","SYSLOG_IDENTIFIER":"in.tftpd","MESSAGE":"` + text + `"}`
}

// follow collects what comes until it holds so many entries and gaps.
func follow(t *testing.T, cfg Config, want int) (texts []string, gaps []Gap, cursor string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	err := Follow(ctx, cfg, func(b Batch) error {
		for _, e := range b.Entries {
			texts = append(texts, e.Message)
		}
		gaps = append(gaps, b.Gaps...)
		cursor = b.Cursor
		if len(texts)+len(gaps) >= want {
			stop()
		}
		return nil
	})
	if err != nil || len(texts)+len(gaps) != want {
		t.Fatalf("%q, %+v, %v", texts, gaps, err)
	}
	return texts, gaps, cursor
}

func TestJournalctlThatEndsIsStartedAgainAfterTheLastEntry(t *testing.T) {
	program := fake(t, `case "$*" in
*--follow*--after-cursor=s=a\;i=2*--identifier=in.tftpd*--identifier=systemd-journald*) echo '`+entry("3", "three")+`'; exec sleep 60;;
*--follow*--lines=0*) echo '`+entry("1", "one")+`'; echo '`+entry("2", "two")+`'; echo "it broke" >&2; exit 1;;
*--lines=1*--cursor=s=a\;i=2*) echo '`+entry("2", "two")+`';;
*) echo "unexpected: $*" >&2; exit 1;;
esac`)
	texts, gaps, cursor := follow(t, Config{Program: program, Idents: []string{"in.tftpd"}}, 3)
	if strings.Join(texts, " ") != "one two three" || len(gaps) != 0 || !strings.HasPrefix(cursor, "s=a;i=3") {
		t.Errorf("%q %+v %s", texts, gaps, cursor)
	}
}

func TestForgottenPlaceIsAGap(t *testing.T) {
	program := fake(t, `case "$*" in
*--follow*) echo '`+entry("9", "nine")+`'; exec sleep 60;;
*--lines=1*) echo '`+entry("8", "eight")+`';;
esac`)
	texts, gaps, _ := follow(t, Config{Program: program, Cursor: "s=a;i=2;b=c;m=1;t=61377cb32;x=1"}, 2)
	if strings.Join(texts, " ") != "nine" || len(gaps) != 1 || gaps[0].Lost != -1 || !gaps[0].From.Before(gaps[0].To) || !strings.Contains(gaps[0].Why, "vacuumed") {
		t.Errorf("%q %+v", texts, gaps)
	}
	program = fake(t, `case "$*" in
*--follow*--since=@*) echo '`+entry("9", "nine")+`'; exec sleep 60;;
esac`)
	if _, gaps, _ = follow(t, Config{Program: program, Cursor: "s=a;i=2;b=c;m=1;t=61377cb32;x=1"}, 2); len(gaps) != 1 || !strings.Contains(gaps[0].Why, "no longer holds") {
		t.Errorf("%+v", gaps)
	}
}

func TestSuppressedMessagesAreAGap(t *testing.T) {
	line := strings.Replace(entry("5", "Suppressed 1234 messages from tftpd-hpa.service"), "in.tftpd", "systemd-journald", 1)
	program := fake(t, `echo '`+line+`'; echo '`+entry("6", "six")+`'; exec sleep 60`)
	texts, gaps, _ := follow(t, Config{Program: program}, 2)
	if strings.Join(texts, " ") != "six" || len(gaps) != 1 || gaps[0].Lost != 1234 {
		t.Errorf("%q %+v", texts, gaps)
	}
}

func TestHugeEntryIsAGapAndTheNextOneIsRead(t *testing.T) {
	program := fake(t, `head -c 5000000 /dev/zero | tr '\0' x; echo; echo '`+entry("6", "six")+`'; exec sleep 60`)
	texts, gaps, _ := follow(t, Config{Program: program}, 2)
	if strings.Join(texts, " ") != "six" || len(gaps) != 1 || gaps[0].Lost != 1 {
		t.Errorf("%q %+v", texts, gaps)
	}
}

func TestFailedDeliveryEndsFollow(t *testing.T) {
	full := errors.New("full")
	program := fake(t, `echo '`+entry("6", "six")+`'; exec sleep 60`)
	if err := Follow(t.Context(), Config{Program: program}, func(Batch) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := Follow(t.Context(), Config{Program: "/nowhere/journalctl"}, func(Batch) error { return nil }); err == nil || !strings.Contains(err.Error(), "name files") {
		t.Errorf("got %v", err)
	}
}
