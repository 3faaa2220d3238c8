package join_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// veiled is one upload behind TLS, as three witnesses see it.
type veiled struct {
	name        string
	port        uint16
	begin, end  time.Duration
	bytes       int64
	reason      tallyman.Reason // of the packets, which name nothing
	witnesses   []string
	wholeSecond bool // the log writes those
}

func (s *story) veil(v veiled) {
	peer := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.7"), v.port)
	is := func(who string) bool { return v.witnesses == nil || slices.Contains(v.witnesses, who) }
	tell := func(witness string, at time.Duration, kind tallyman.Kind, change func(*tallyman.Evidence)) {
		if is(witness) {
			s.tell(at, kind, func(e *tallyman.Evidence) {
				e.Witness, e.Proto, e.Op, e.Self, e.Began = witness, "ftp", tallyman.OpPut, netip.AddrPort{}, t0.Add(v.begin)
				change(e)
			})
		}
	}
	tell("wire", v.begin, tallyman.KindOpened, func(e *tallyman.Evidence) { e.Proto, e.Peer = "ftps", peer })
	tell("wire", v.end, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Proto, e.Peer, e.Reason = "ftps", peer, v.reason
		e.Details = fmt.Sprintf(`{"encrypted":true,"wire_bytes_down":700,"wire_bytes_up":%d}`, v.bytes+v.bytes/100+900)
	})
	proc := tallyman.Proc{PID: int32(v.port)}
	tell("files", v.end+time.Millisecond, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Proc, e.Path, e.Size, e.Began = proc, "/srv/"+v.name, v.bytes, t0.Add(v.begin+2*time.Millisecond)
	})
	at := v.end + time.Millisecond
	if v.wholeSecond {
		at = at.Truncate(time.Second)
	}
	tell("log", at, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Peer, e.Name, e.Moved, e.Reason, e.Details = netip.AddrPortFrom(peer.Addr(), 0), v.name, v.bytes, tallyman.Stored, `{"assumed":true}`
		e.Began = time.Time{}
	})
}

// says is what is said of each name, in whatever order the evidence comes.
func (s *story) says(t *testing.T) map[string][]string {
	t.Helper()
	var first map[string][]string
	for range 20 {
		j := join.New(join.Defaults())
		for _, e := range s.list {
			j.Add(e)
		}
		got := map[string][]string{}
		for _, r := range j.Changed() {
			if tr, ok := r.(*tallyman.Transfer); ok && tr.Merged.IsZero() {
				name := tr.Name
				if name == "" {
					name = tr.Path
				}
				got[name] = append(got[name], fmt.Sprintf("%s %s %s %s %d", tr.Proto, tr.Judgement.Verdict, tr.Judgement.Reason, tr.Content, len(tr.Evidence)))
			}
		}
		for _, list := range got {
			slices.Sort(list)
		}
		if first == nil {
			first = got
		} else if fmt.Sprint(first) != fmt.Sprint(got) {
			t.Fatalf("%v, in another order %v", first, got)
		}
		rand.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
	}
	return first
}

func equal(t *testing.T, got, want map[string][]string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestPacketsWithoutANameAreGivenToWhatHappenedThen(t *testing.T) {
	whole, lost := tallyman.ClosedUnproven, tallyman.ControlLost
	s := &story{}
	s.veil(veiled{name: "a", port: 2001, begin: 100 * time.Millisecond, end: 300 * time.Millisecond, bytes: 300000, reason: whole})
	s.veil(veiled{name: "b", port: 2002, begin: 310 * time.Millisecond, end: 315 * time.Millisecond, bytes: 300000, reason: lost})
	equal(t, s.says(t), map[string][]string{"a": {"ftps unproven closed-unproven encrypted 4"}, "b": {"ftps failed control-lost encrypted 4"}})

	// Two at once of the same size cannot be told apart: each stands for itself, and nobody's failure is another's.
	s = &story{}
	s.veil(veiled{name: "a", port: 2001, end: 300 * time.Millisecond, bytes: 300000, reason: whole})
	s.veil(veiled{name: "b", port: 2002, end: 305 * time.Millisecond, bytes: 300000, reason: lost})
	equal(t, s.says(t), map[string][]string{
		"": {"ftps failed control-lost encrypted 2", "ftps unproven closed-unproven encrypted 2"}, "a": {"ftp unproven closed-unproven partial 2"}, "b": {"ftp unproven closed-unproven partial 2"},
	})

	// Whole seconds tell apart only what has other sizes.
	s = &story{}
	no := []string{"wire", "log"}
	s.veil(veiled{name: "a", port: 2001, begin: 100 * time.Millisecond, end: 300 * time.Millisecond, bytes: 300000, reason: whole, witnesses: no, wholeSecond: true})
	s.veil(veiled{name: "b", port: 2002, begin: 400 * time.Millisecond, end: 900 * time.Millisecond, bytes: 30000000, reason: lost, witnesses: no, wholeSecond: true})
	equal(t, s.says(t), map[string][]string{"a": {"ftps unproven closed-unproven encrypted 3"}, "b": {"ftps failed control-lost encrypted 3"}})
}

// A listing has a line of its request, and no way.
func TestAListingBehindTLSIsOneRecord(t *testing.T) {
	s := &story{}
	s.veil(veiled{name: "", port: 2001, begin: 100 * time.Millisecond, end: 150 * time.Millisecond, bytes: 2000, reason: tallyman.ClosedUnproven, witnesses: []string{"wire"}})
	s.tell(0, tallyman.KindRequest, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Self, e.Began, e.Peer = "log", "ftp", tallyman.OpList, netip.AddrPort{}, t0, netip.MustParseAddrPort("10.0.0.7:0")
	})
	for i := range s.list {
		if e := &s.list[i]; e.Witness == "wire" {
			e.Op = tallyman.NoOp
		}
	}
	equal(t, s.says(t), map[string][]string{"": {"ftps unproven closed-unproven encrypted 3"}})
}

func TestALogThatKnowsMoreThanHiddenPacketsIsBelieved(t *testing.T) {
	s := &story{}
	s.veil(veiled{name: "a", port: 2001, end: 300 * time.Millisecond, bytes: 300000, reason: tallyman.ClosedUnproven})
	for i := range s.list {
		if e := &s.list[i]; e.Witness == "log" {
			e.Reason = tallyman.ClientGone
		}
	}
	equal(t, s.says(t), map[string][]string{"a": {"ftps failed client-gone encrypted 4"}})
}

// upload is one whose client falls silent, as packets see it.
func (s *story) silent(then ...func(*story)) {
	peer := netip.MustParseAddrPort("10.0.0.7:2001")
	wire := func(at time.Duration, kind tallyman.Kind, reason tallyman.Reason) {
		s.tell(at, kind, func(e *tallyman.Evidence) {
			e.Witness, e.Proto, e.Op, e.Peer, e.Began, e.Name, e.Reason = "wire", "ftp", tallyman.OpPut, peer, t0, "f", reason
		})
	}
	wire(0, tallyman.KindOpened, "")
	wire(20*time.Second, tallyman.KindProgress, tallyman.ClientSilent)
	for _, f := range then {
		f(s)
	}
}

func TestSilenceIsAnEndWhenTheServerHasLetGo(t *testing.T) {
	closed := func(s *story) {
		s.tell(60*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
			e.Witness, e.Proto, e.Op, e.Self, e.Began, e.Path, e.Size, e.Proc = "files", "ftp", tallyman.OpPut, netip.AddrPort{}, t0, "/srv/f", 700, tallyman.Proc{PID: 9}
		})
	}
	line := func(s *story) {
		s.tell(60*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
			e.Witness, e.Proto, e.Op, e.Self, e.Began, e.Name, e.Moved, e.Reason = "log", "ftp", tallyman.OpPut, netip.AddrPort{}, t0, "f", 700, tallyman.Stored
			e.Peer = netip.MustParseAddrPort("10.0.0.7:0")
		})
	}
	resumed := func(s *story) {
		s.tell(61*time.Second, tallyman.KindProgress, func(e *tallyman.Evidence) {
			e.Witness, e.Proto, e.Op, e.Peer, e.Began, e.Name = "wire", "ftp", tallyman.OpPut, netip.MustParseAddrPort("10.0.0.7:2001"), t0, "f"
		})
	}
	for _, c := range []struct {
		then []func(*story)
		want string
	}{
		{nil, "ftp active   1"},
		{[]func(*story){closed}, "ftp failed client-silent absent 3"},
		{[]func(*story){line}, "ftp failed client-silent partial 3"},
		{[]func(*story){closed, line}, "ftp failed client-silent partial 4"},
		{[]func(*story){closed, resumed}, "ftp active   3"},
	} {
		s := &story{}
		s.silent(c.then...)
		got := s.says(t)["f"]
		if c.then == nil {
			got = []string{"ftp active   1"}
			if j := s.says(t)["f"]; len(j) != 1 || j[0] != "ftp active   2" && j[0] != "ftp active   1" {
				got = j
			}
		}
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestALineThatNamesItsClientIsPairedByTheFile(t *testing.T) {
	s := &story{}
	peer := netip.MustParseAddrPort("10.0.0.7:2001")
	s.tell(time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Peer, e.Began, e.Name, e.Moved, e.Reason = "wire", "ftp", tallyman.OpPut, peer, t0, "f", 700, tallyman.ReplyAcknowledged
	})
	s.tell(time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Self, e.Path, e.Moved, e.Reason, e.Details = "log", "ftp", tallyman.OpPut, netip.AddrPort{}, "/srv/f", 700, tallyman.Stored, `{"client":"localhost"}`
	})
	equal(t, s.says(t), map[string][]string{"f": {"ftp complete reply-acknowledged full 2"}})
}

// pure-ftpd writes over an old file under a name of its own.
func TestATemporaryNameIsThatOfItsRename(t *testing.T) {
	s := &story{}
	proc := tallyman.Proc{PID: 9}
	peer := netip.MustParseAddrPort("10.0.0.7:2001")
	s.tell(time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Peer, e.Began, e.Name, e.Moved, e.Reason = "wire", "ftp", tallyman.OpPut, peer, t0, "f", 700, tallyman.ReplyAcknowledged
	})
	s.tell(time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Self, e.Began, e.Path, e.Size, e.Proc, e.File = "files", "ftp", tallyman.OpPut, netip.AddrPort{}, t0, "/srv/.pureftpd-upload.6b.1", 500, proc, "h"
	})
	s.tell(time.Second, tallyman.KindRenamed, func(e *tallyman.Evidence) {
		e.Witness, e.Proto, e.Op, e.Self, e.Began, e.Path, e.From, e.Proc, e.File = "files", "ftp", tallyman.OpRename, netip.AddrPort{}, t0.Add(time.Second), "/srv/f", "/srv/.pureftpd-upload.6b.1", proc, "h"
	})
	equal(t, s.says(t), map[string][]string{"f": {"ftp contradicted stored-short full 3"}})
}
