package account_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/files/account"
)

var start = time.Date(2026, 11, 20, 17, 42, 1, 0, time.UTC)

// book is an account, and what it told.
type book struct {
	*account.Account
	t   *testing.T
	at  time.Time
	out []tallyman.Evidence
}

func newBook(t *testing.T, set ...func(*account.Config)) *book {
	t.Helper()
	cfg := account.Defaults("host")
	for _, s := range set {
		s(&cfg)
	}
	return &book{Account: account.New(cfg), t: t, at: start}
}

// saw adds an event of a process; each comes a millisecond after the one before.
func (b *book) saw(pid int32, file string, deeds account.Deed, set ...func(*account.Event)) {
	b.at = b.at.Add(time.Millisecond)
	e := account.Event{
		At: b.at, Deeds: deeds, Proc: tallyman.Proc{PID: pid, Start: int64(pid) * 10}, File: file, Path: "/srv/" + file, Proto: "tftp", Size: 100, Held: -1,
		Who: account.Who{Exe: "/usr/sbin/in.tftpd", Comm: "in.tftpd", User: "tftp"},
	}
	for _, s := range set {
		s(&e)
	}
	b.out = b.Add(&e, b.out)
}

func size(n int64) func(*account.Event) { return func(e *account.Event) { e.Size = n } }
func open(n int, m account.Mode) func(e *account.Event) {
	return func(e *account.Event) { e.Held, e.Mode = n, m }
}

// told compares what was told since the last call with lines of "kind op pid size".
func (b *book) told(want ...string) []tallyman.Evidence {
	b.t.Helper()
	var got []string
	for i := range b.out {
		e := &b.out[i]
		got = append(got, fmt.Sprintf("%s %s %d %d", e.Kind, e.Op, e.Proc.PID, e.Size))
		if e.Time.IsZero() || e.Began.IsZero() || e.Began.After(e.Time) || e.Host != "host" || e.Witness != "files" || e.Moved != -1 || e.Expected != -1 ||
			e.Reason != "" || !json.Valid([]byte(e.Details)) {
			b.t.Errorf("not sound: %+v", e)
		}
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("told %q,\nnot  %q", got, want)
	}
	out := b.out
	b.out = nil
	return out
}

func TestCloseNamesItsOpen(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(1, account.Reading))
	opened := b.told("opened get 1 100")
	b.saw(1, "a", account.Read)
	b.saw(1, "a", account.CloseNoWrite, size(90))
	closed := b.told("closed get 1 90")
	if !closed[0].Began.Equal(opened[0].Time) || closed[0].Details !=
		`{"accessed":true,"close":"nowrite","comm":"in.tftpd","created":false,"exe":"/usr/sbin/in.tftpd","modified":false,"user":"tftp"}` {
		t.Errorf("%+v", closed[0])
	}
	if b.Running() != 0 {
		t.Errorf("%d uses are left", b.Running())
	}
}

// Bits have no order and no count: the same doings, merged in any way, are told as as many uses as they prove.
func TestMergedEventsTellTheSame(t *testing.T) {
	f := func(events ...account.Deed) {
		t.Helper()
		b := newBook(t)
		for _, d := range events {
			b.saw(1, "up", d)
		}
		b.told("opened put 1 100", "closed put 1 100")
		if b.Running() != 0 {
			t.Errorf("%d uses are left", b.Running())
		}
	}
	const c, o, m, w, r = account.Create, account.Open, account.Modify, account.CloseWrite, account.Read
	f(c, o, m, w)
	f(c|o, m, w)
	f(c|o, m|w)
	f(c | o | m | w)
	f(c|o|m, m|w)
	f(c, o|m|w)
	f(c|o, m, m, r, m, w)
}

func TestTwoClosesInOneEventAreTwo(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open|account.CloseWrite|account.CloseNoWrite)
	b.told("opened put 1 100", "opened put 1 100", "closed put 1 100", "closed get 1 100")
}

func TestOpenOfAnUnknownPurposeIsToldWithWhatTellsIt(t *testing.T) {
	f := func(then account.Deed, want ...string) {
		t.Helper()
		b := newBook(t)
		b.saw(1, "a", account.Open)
		b.told()
		b.saw(1, "a", then)
		if got := b.told(want...); len(got) > 0 && !got[0].Time.Equal(start.Add(time.Millisecond)) {
			t.Errorf("opened at %v", got[0].Time)
		}
	}
	f(account.CloseNoWrite, "opened get 1 100", "closed get 1 100")
	f(account.CloseWrite, "opened put 1 100", "closed put 1 100")
	f(account.Read, "opened get 1 100")
	f(account.Modify, "opened put 1 100")
}

// The kernel tells an open before the process has the descriptor: who looks at once finds nothing.
func TestOpenThatWasLookedAtTooEarlyIsLookedAtAgain(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(0, account.NoMode))
	b.told()
	b.out = b.Recount(b.Drained()[0], 1, account.Reading, b.out)
	b.told("opened get 1 100")
	b.saw(1, "a", account.CloseNoWrite)
	b.told("closed get 1 100")
}

func TestLightEventsOfAKnownUseNeedNoLook(t *testing.T) {
	b := newBook(t)
	if b.Touch(1, "a", account.Read, b.at) {
		t.Error("a use that is not known was touched")
	}
	b.saw(1, "a", account.Open, open(1, account.Reading))
	if !b.Touch(1, "a", account.Read, b.at) || b.Touch(1, "a", account.Read|account.CloseNoWrite, b.at) || b.Touch(2, "a", account.Read, b.at) {
		t.Error("reads of the use alone are light")
	}
	if b.Touch(1, "a", account.Modify, b.at) {
		t.Error("the first change was taken without a look at the size")
	}
	b.saw(1, "a", account.Modify)
	if !b.Touch(1, "a", account.Modify, b.at) {
		t.Error("the second change needs no look")
	}
}

func TestCloseWithoutAnOpenSaysNoMoreThanWasSeen(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Modify|account.CloseWrite)
	got := b.told("opened put 1 100", "closed put 1 100")
	if strings.Contains(got[1].Details, "accessed") || strings.Contains(got[1].Details, "created") || !strings.Contains(got[1].Details, `"modified":true`) {
		t.Errorf("details %s", got[1].Details)
	}
}

// Two threads have one file open. Their opens were merged; the descriptors tell.
func TestMergedOpensAreCountedAgain(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(2, account.Reading))
	b.told("opened get 1 100")
	q := b.Drained()
	if len(q) != 1 || q[0].File != "a" {
		t.Fatalf("asks %+v", q)
	}
	b.out = b.Recount(q[0], 2, account.Reading, b.out)
	b.told("opened get 1 100")
	b.saw(1, "a", account.CloseNoWrite)
	b.saw(1, "a", account.CloseNoWrite)
	got := b.told("closed get 1 100", "closed get 1 100")
	if !strings.Contains(got[0].Details, `"others":1`) || strings.Contains(got[1].Details, "others") {
		t.Errorf("%s, %s", got[0].Details, got[1].Details)
	}
}

// The third thread opened the file after the queue was drained and before the descriptors were counted: its event comes later.
func TestOpenThatWasFoundByLookingIsNotToldTwice(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(2, account.Reading))
	b.out = b.Recount(b.Drained()[0], 3, account.Reading, b.out)
	b.told("opened get 1 100", "opened get 1 100", "opened get 1 100")
	b.saw(1, "a", account.Open, open(3, account.Reading))
	b.told()
	b.Drained()
	b.saw(1, "a", account.Open, open(4, account.Reading))
	b.told("opened get 1 100")
}

func TestFileFoundOpenIsNotToldTwice(t *testing.T) {
	b := newBook(t)
	e := account.Event{At: b.at, Proc: tallyman.Proc{PID: 1, Start: 10}, File: "a", Path: "/srv/a", Size: 100, Held: 1, Mode: account.Writing}
	b.out = b.Present(&e, b.out)
	b.told("opened put 1 100")
	b.out = b.Present(&e, b.out)
	b.saw(1, "a", account.Open, open(1, account.Writing))
	b.told()
	b.saw(1, "a", account.CloseWrite)
	if got := b.told("closed put 1 100"); !strings.Contains(got[0].Details, `"present":true`) || strings.Contains(got[0].Details, "false") {
		t.Errorf("details %s", got[0].Details)
	}
}

func TestPidThatComesAgainIsAnotherProcess(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(1, account.Reading))
	b.told("opened get 1 100")
	b.saw(1, "a", account.Open, open(1, account.Reading), func(e *account.Event) { e.Proc.Start = 99 })
	got := b.told("closed get 1 100", "opened get 1 100")
	if !strings.Contains(got[0].Details, `"close":"unseen"`) || got[0].Proc.Start != 10 || got[1].Proc.Start != 99 {
		t.Errorf("%+v", got)
	}
}

func TestIdleUseIsAskedForEverLessOften(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(1, account.Reading))
	b.told("opened get 1 100")
	var asked []time.Duration
	for at := b.at; at.Before(b.at.Add(3 * time.Minute)); at = at.Add(time.Second) {
		for _, q := range b.Idle(at) {
			asked = append(asked, at.Sub(b.at))
			b.out = b.Look(q, 1, 100, at, b.out)
		}
	}
	want := []time.Duration{2, 6, 14, 30, 62, 94, 126, 158}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked after %v, not %v", asked, want)
	}
	at := b.at.Add(time.Hour)
	b.out = b.Look(b.Idle(at)[0], 0, 55, at, b.out)
	b.told() // its close may wait in the queue
	at = at.Add(time.Millisecond)
	b.out = b.Look(b.Idle(at)[0], 0, 55, at, b.out)
	if got := b.told("closed get 1 55"); !strings.Contains(got[0].Details, `"close":"unseen"`) || strings.Contains(got[0].Details, "accessed") {
		t.Errorf("details %s", got[0].Details)
	}
}

// It was closed between the last event that was read and the look.
func TestCloseThatWaitsInTheQueueWhileItIsLookedAtIsToldOnce(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(1, account.Reading))
	b.told("opened get 1 100")
	at := b.at.Add(5 * time.Second)
	b.out = b.Look(b.Idle(at)[0], 0, 100, at, b.out)
	b.saw(1, "a", account.CloseNoWrite)
	if got := b.told("closed get 1 100"); !strings.Contains(got[0].Details, `"close":"nowrite"`) {
		t.Errorf("details %s", got[0].Details)
	}
	if q := b.Idle(at.Add(time.Minute)); len(q) > 0 {
		t.Errorf("asks %+v", q)
	}
}

// Two threads close the file at one moment, and the kernel makes one event of it.
func TestMergedCloseIsFoundAndSaysHowItWasClosed(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(1, account.Reading))
	b.saw(1, "a", account.Open, open(2, account.Reading))
	b.saw(1, "a", account.CloseNoWrite)
	b.told("opened get 1 100", "opened get 1 100", "closed get 1 100")
	at := b.at.Add(5 * time.Second)
	b.out = b.Look(b.Idle(at)[0], 0, 100, at, b.out)
	b.out = b.Look(b.Idle(at)[0], 0, 100, at, b.out)
	if got := b.told("closed get 1 100"); !got[0].Time.Equal(b.at) || !strings.Contains(got[0].Details, `"close":"nowrite"`) {
		t.Errorf("%+v", got)
	}
}

func TestAfterAGapNoNotIsSaid(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open, open(1, account.Reading))
	b.Blind(b.at)
	b.saw(1, "a", account.CloseNoWrite)
	got := b.told("opened get 1 100", "closed get 1 100")
	if strings.Contains(got[1].Details, "false") {
		t.Errorf("details %s", got[1].Details)
	}
}

func TestEmptiedFileIsTruncated(t *testing.T) {
	for _, c := range []struct {
		name  string
		truth bool
		steps func(*book)
	}{
		{"change before the open", true, func(b *book) {
			b.saw(1, "a", account.Modify, size(0))
			b.saw(1, "a", account.Open, size(0), open(1, account.Writing))
		}},
		{"change after the open", true, func(b *book) {
			b.saw(1, "a", account.Open, size(0), open(1, account.Writing))
			b.saw(1, "a", account.Modify, size(0))
		}},
		{"merged", true, func(b *book) { b.saw(1, "a", account.Open|account.Modify, size(0), open(1, account.Writing)) }},
		{"made", false, func(b *book) {
			b.saw(1, "a", account.Create|account.Open|account.Modify, size(0), open(1, account.Writing))
		}},
		{"appended", false, func(b *book) {
			b.saw(1, "a", account.Open, size(100), open(1, account.Writing))
			b.saw(1, "a", account.Modify, size(120))
		}},
		{"cut", true, func(b *book) {
			b.saw(1, "a", account.Open, size(100), open(1, account.Writing))
			b.saw(1, "a", account.Modify, size(50))
		}},
	} {
		b := newBook(t)
		c.steps(b)
		b.saw(1, "a", account.CloseWrite, size(200))
		last := b.out[len(b.out)-1]
		if got := strings.Contains(last.Details, `"truncated":true`); got != c.truth || last.Kind != tallyman.KindClosed {
			t.Errorf("%s: %s", c.name, last.Details)
		}
	}
}

func TestRenameFollowsUsesOfAllProcesses(t *testing.T) {
	b := newBook(t)
	b.saw(1, "up", account.Open|account.Create)
	b.saw(2, "up", account.Open, open(1, account.Reading))
	b.saw(3, "up", account.Rename, func(e *account.Event) { e.From, e.Path, e.Quiet = "/srv/up", "/srv/final", true })
	b.saw(1, "up", account.CloseWrite)
	b.saw(2, "up", account.CloseNoWrite)
	for _, e := range b.told("opened put 1 100", "opened get 2 100", "closed put 1 100", "closed get 2 100")[2:] {
		if e.Path != "/srv/final" || e.From != "/srv/up" {
			t.Errorf("%+v", e)
		}
	}
}

func TestFoundFileIsToldOnceItRests(t *testing.T) {
	b := newBook(t)
	e := account.Event{At: b.at, File: "f", Path: "/srv/d/f", Size: 10, Held: -1}
	b.Found(&e)
	at := b.at.Add(2 * time.Second)
	b.out = b.Look(b.Idle(at)[0], 0, 20, at, b.out) // it has grown
	b.told()
	at = at.Add(4 * time.Second)
	b.out = b.Look(b.Idle(at)[0], 0, 20, at, b.out)
	if got := b.told("closed put 0 20"); !strings.Contains(got[0].Details, `"close":"unseen"`) || !strings.Contains(got[0].Details, `"found":true`) {
		t.Errorf("details %s", got[0].Details)
	}
}

func TestFoundFileThatEventsTellOfIsToldByThem(t *testing.T) {
	for _, pid := range []int32{0, 7} {
		b := newBook(t)
		b.Found(&account.Event{At: b.at, File: "f", Path: "/srv/f", Size: 10, Held: -1})
		b.saw(pid, "f", account.Modify|account.CloseWrite)
		got := b.told(fmt.Sprintf("opened put %d 100", pid), fmt.Sprintf("closed put %d 100", pid))
		if !strings.Contains(got[1].Details, `"created":true`) || b.Running() != 0 {
			t.Errorf("details %s, %d left", got[1].Details, b.Running())
		}
	}
}

func TestMemoryIsBoundedAndTheCloseIsStillTold(t *testing.T) {
	b := newBook(t, func(c *account.Config) { c.Uses = 10 })
	for i := range 1000 {
		b.saw(1, fmt.Sprint(i), account.Open, open(1, account.Reading))
	}
	if b.Running() != 10 || b.Counts().Forgotten != 990 {
		t.Errorf("%d uses, counts %+v", b.Running(), b.Counts())
	}
	b.out = nil
	b.saw(1, "0", account.CloseNoWrite)
	b.told("opened get 1 100", "closed get 1 100")
}

func TestMadeAndNeverOpenedIsForgotten(t *testing.T) {
	b := newBook(t)
	b.saw(1, "link", account.Create)
	if b.told(); b.Running() != 1 {
		t.Errorf("%d uses", b.Running())
	}
	if q := b.Idle(b.at.Add(time.Minute)); len(q) != 0 || b.Running() != 0 {
		t.Errorf("asks %+v, %d uses", q, b.Running())
	}
}

func TestHostileNamesMakeSoundDetails(t *testing.T) {
	b := newBook(t)
	b.saw(1, "a", account.Open|account.CloseNoWrite, func(e *account.Event) { e.Who.Comm, e.Who.Exe = "a\"\\\n\xff\x1b", "/x\x00\u2028" })
	b.told("opened get 1 100", "closed get 1 100") // checks that they are JSON
}

// Whatever comes in whatever order, each close follows its open, no use of a process has more closes than opens, and nothing is kept that ended.
func FuzzAccount(f *testing.F) {
	f.Add([]byte{1, 0x21, 2, 0x02, 1, 0x08, 3, 0x30})
	f.Add([]byte{1, 0x01, 1, 0x01, 1, 0x18, 0, 0x18, 9, 0xff})
	f.Fuzz(func(t *testing.T, script []byte) {
		b := newBook(t, func(c *account.Config) { c.Uses = 8 })
		running := map[string]int{}
		for len(script) >= 2 {
			who, deeds := script[0], account.Deed(script[1])
			script = script[2:]
			pid, file := int32(who&3), fmt.Sprint(who>>2&3)
			switch who >> 6 {
			case 3:
				b.Blind(b.at)
			case 2:
				b.at = b.at.Add(10 * time.Second)
				for _, q := range b.Idle(b.at) {
					b.out = b.Look(q, int(deeds&1), 5, b.at, b.out)
				}
			default:
				b.saw(pid, file, deeds, size(int64(who)), open(int(deeds>>4&3)-1, account.Mode(who>>4&1)))
			}
			for _, q := range b.Drained() {
				b.out = b.Recount(q, int(who&7), account.Mode(who&1), b.out)
			}
			for i := range b.out {
				e := &b.out[i]
				key := fmt.Sprint(e.Proc.PID, e.File)
				switch e.Kind {
				case tallyman.KindOpened:
					running[key]++
				case tallyman.KindClosed:
					if running[key]--; running[key] < 0 && !strings.Contains(e.Details, `"found":true`) {
						t.Fatalf("closed more often than opened: %+v", e)
					}
				default: // it opens and closes nothing
				}
				if e.Began.After(e.Time) || !json.Valid([]byte(e.Details)) {
					t.Fatalf("not sound: %+v", e)
				}
			}
			b.out = nil
			if b.Running() > 8 {
				t.Fatalf("%d uses are held", b.Running())
			}
		}
	})
}

// Who stores a file and deletes it at once is faster than the look at its size: that it was empty when it was made says nothing.
func TestSizeOfAFileThatIsGoneBeforeItIsLookedAtIsNotKnown(t *testing.T) {
	b := newBook(t)
	b.saw(7, "a", account.Open|account.Create, size(0), open(1, account.Writing))
	b.saw(7, "a", account.Modify, size(0))
	b.saw(7, "a", account.CloseWrite, size(-1))
	b.told("opened put 7 0", "closed put 7 -1")
}
