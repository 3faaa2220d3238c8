package join_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/join"
)

// scene is what three witnesses see of one request to in.tftpd. Its moments are those measured on Debian's tftpd-hpa.
type scene struct {
	row     string
	op      tallyman.Op
	wire    []tallyman.Reason // how the packets say it ended; two for two requests that are two transfers
	moved   int64             // by the packets
	tsize   int64             // announced, 0 = not
	asked   int               // requests in the packets, 0 = one
	log     []tallyman.Reason // lines after that of the request: refusals and ends
	mute    bool              // no line of the request either
	files   []file            // what the child, or the children, did to the file
	verdict tallyman.Verdict
	reason  tallyman.Reason
}

// file is one opening by one child.
type file struct {
	size     int64
	modified bool
	accessed bool
	after    time.Duration // the close
	path     string
}

func scenes() []scene {
	get, put := tallyman.OpGet, tallyman.OpPut
	reader := func(after time.Duration) []file { return []file{{size: 3000, accessed: true, after: after}} }
	writer := func(size int64, after time.Duration) []file {
		return []file{{size: size, modified: true, after: after}}
	}
	one := func(r tallyman.Reason) []tallyman.Reason { return []tallyman.Reason{r} }
	const soon, late = 5 * time.Millisecond, 63 * time.Second
	return []scene{
		{row: "R1", op: get, wire: one(tallyman.FinalAck), moved: 3000, files: reader(soon), verdict: tallyman.Complete, reason: tallyman.FinalAck},
		{row: "R2", op: get, wire: one(tallyman.ClientSilent), moved: 0, files: reader(late), verdict: tallyman.Failed, reason: tallyman.ClientSilent},
		{row: "R3", op: get, wire: one(tallyman.ClientGone), moved: 0, log: one(tallyman.ClientGone), files: reader(200 * time.Millisecond), verdict: tallyman.Failed, reason: tallyman.ClientGone},
		{row: "R4", op: get, wire: one(tallyman.ClientError), moved: 512, files: reader(soon), verdict: tallyman.Aborted, reason: tallyman.ClientError},
		{row: "R5", op: get, wire: one(tallyman.DeliveredUnconfirmed), moved: 2560, log: one(tallyman.ClientGone), files: reader(late), verdict: tallyman.Unproven, reason: tallyman.DeliveredUnconfirmed},
		{row: "R6", op: get, wire: one(tallyman.SizeProbe), log: one(tallyman.SizeProbe), files: []file{{size: 3000, after: soon}}, verdict: tallyman.Probe, reason: tallyman.SizeProbe},
		{row: "R7", op: get, wire: one(tallyman.NotReadable), log: one(tallyman.NotReadable), files: []file{{size: 3000, after: soon}}, verdict: tallyman.Refused, reason: tallyman.NotReadable},
		{row: "R8", op: get, wire: one(tallyman.NotFound), log: one(tallyman.NotFound), verdict: tallyman.Refused, reason: tallyman.NotFound},
		{row: "R9a", op: get, wire: one(tallyman.ClientError), moved: 512, files: reader(soon), verdict: tallyman.Aborted, reason: tallyman.ClientError},
		{row: "R9b", op: get, wire: one(tallyman.FinalAck), moved: 3000, files: reader(soon), verdict: tallyman.Complete, reason: tallyman.FinalAck},
		{row: "R11", op: get, wire: one(tallyman.FinalAck), moved: 3000, asked: 2, log: one(tallyman.ClientGone), files: append(reader(soon), reader(soon)...), verdict: tallyman.Complete, reason: tallyman.FinalAck},
		{row: "M1", op: get, wire: one(tallyman.FinalAck), moved: 3000, files: []file{{size: 3000, accessed: true, after: soon, path: "/srv/real/y"}}, verdict: tallyman.Complete, reason: tallyman.FinalAck},
		{row: "M2", op: get, wire: one(tallyman.NotFound), log: one(tallyman.RemapDenied), verdict: tallyman.Refused, reason: tallyman.RemapDenied},
		{row: "W1", op: put, wire: one(tallyman.FinalAck), moved: 3000, files: writer(3000, soon), verdict: tallyman.Complete, reason: tallyman.Stored},
		{row: "W2", op: put, wire: one(tallyman.ClientSilent), moved: 1024, files: writer(1024, late), verdict: tallyman.Failed, reason: tallyman.ClientSilent},
		{row: "W3", op: put, wire: one(tallyman.ClientError), moved: 1024, files: writer(1024, soon), verdict: tallyman.Aborted, reason: tallyman.ClientError},
		{row: "W3b", op: put, wire: one(tallyman.ClientGone), moved: 1024, log: one(tallyman.ClientGone), files: writer(1024, 200*time.Millisecond), verdict: tallyman.Failed, reason: tallyman.ClientGone},
		{row: "W4", op: put, wire: one(tallyman.FinalAck), moved: 1500000, files: writer(1048576, soon), verdict: tallyman.Contradicted, reason: tallyman.StoredShort},
		{row: "W5", op: put, wire: one(tallyman.Timeout), files: []file{{after: time.Millisecond}}, verdict: tallyman.Failed, reason: tallyman.DroppedLocked},
		{row: "W6", op: get, wire: one(tallyman.Timeout), files: []file{{size: 512, after: time.Millisecond}}, verdict: tallyman.Failed, reason: tallyman.DroppedLocked},
		{row: "W7", op: put, wire: one(tallyman.FinalAck), moved: 3000, files: writer(3000, soon), verdict: tallyman.Complete, reason: tallyman.Stored},
		{row: "W8", op: put, wire: one(tallyman.NotWritable), log: one(tallyman.NotWritable), verdict: tallyman.Refused, reason: tallyman.NotWritable},
		{row: "W9", op: put, wire: one(tallyman.FinalAck), moved: 0, files: []file{{size: 0, after: soon}}, verdict: tallyman.Complete, reason: tallyman.Stored},
		{row: "W10", op: put, wire: one(tallyman.FinalAck), moved: 700, tsize: 3000, files: writer(700, soon), verdict: tallyman.Contradicted, reason: tallyman.AnnouncedSize},
	}
}

// play tells the scene at a moment, by the witnesses that are there.
func (s *story) play(c scene, at time.Duration, name string, port, pid int, witnesses string) {
	peer := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.7"), uint16(port))
	base := func(e *tallyman.Evidence) { e.Op, e.Proto, e.Name = c.op, "tftp", name }
	for i, end := range c.wire {
		if !strings.Contains(witnesses, "wire") {
			continue
		}
		wire := func(e *tallyman.Evidence) {
			base(e)
			e.Witness, e.Peer, e.Self, e.Began = "wire", peer, netip.MustParseAddrPort("10.0.0.1:69"), t0.Add(at)
			if c.tsize > 0 {
				e.Expected = c.tsize
			}
		}
		s.tell(at, tallyman.KindRequest, wire)
		kind := tallyman.KindClosed
		if end.Verdict() == tallyman.Refused {
			kind = tallyman.KindRefusal
		}
		wait := 10 * time.Millisecond
		if end == tallyman.ClientSilent || end == tallyman.DeliveredUnconfirmed || end == tallyman.Timeout {
			wait = 65 * time.Second
		}
		s.tell(at+wait+time.Duration(i), kind, func(e *tallyman.Evidence) {
			wire(e)
			e.Self = netip.MustParseAddrPort("10.0.0.1:50000")
			e.Reason, e.Details = end, fmt.Sprintf(`{"mode":"octet","requests":%d}`, max(c.asked, 1))
			if kind == tallyman.KindClosed {
				e.Moved = c.moved
			}
		})
	}
	for child := range max(c.asked, 1) {
		proc := tallyman.Proc{PID: int32(pid + child)}
		asked := at + time.Duration(child)*300*time.Microsecond + 400*time.Microsecond
		line := func(e *tallyman.Evidence) {
			base(e)
			e.Witness, e.Proc, e.Peer, e.Self, e.Began = "log", proc, netip.AddrPortFrom(peer.Addr(), 0), netip.AddrPort{}, t0.Add(asked)
		}
		if strings.Contains(witnesses, "log") && !c.mute {
			s.tell(asked, tallyman.KindRequest, line)
		}
		for _, r := range c.log {
			if strings.Contains(witnesses, "log") && child == max(c.asked, 1)-1 {
				kind := tallyman.KindClosed
				if r.Verdict() == tallyman.Refused {
					kind = tallyman.KindRefusal
				}
				s.tell(asked+500*time.Microsecond, kind, func(e *tallyman.Evidence) { line(e); e.Reason = r })
			}
		}
		if child >= len(c.files) || !strings.Contains(witnesses, "files") {
			continue
		}
		f := c.files[child]
		if f.path == "" {
			f.path = "/srv/" + name
		}
		event := func(e *tallyman.Evidence) {
			e.Witness, e.Proc, e.Path, e.Op, e.Proto = "files", proc, f.path, c.op, ""
			e.Proc.Start = 77
			e.File, e.Began, e.Peer, e.Self = "8:1:"+f.path, t0.Add(asked+100*time.Microsecond), netip.AddrPort{}, netip.AddrPort{}
		}
		s.tell(asked+100*time.Microsecond, tallyman.KindOpened, event)
		s.tell(asked+100*time.Microsecond+f.after, tallyman.KindClosed, func(e *tallyman.Evidence) {
			event(e)
			e.Size, e.Details = f.size, fmt.Sprintf(`{"accessed":%t,"modified":%t}`, f.accessed, f.modified)
		})
	}
}

func TestEachSceneOfAForeignServerIsJudgedRight(t *testing.T) {
	for _, c := range scenes() {
		var s story
		s.play(c, 0, "x", 2000, 800, "wire log files")
		got := records(t, patient(), s.list)
		if len(got) != 1 {
			t.Errorf("%s: %d records", c.row, len(got))
			continue
		}
		if j := got[0].Judgement; j.Verdict != c.verdict || j.Reason != c.reason {
			t.Errorf("%s: %s %s, want %s %s; for %v against %v", c.row, j.Verdict, j.Reason, c.verdict, c.reason, j.For, j.Against)
		}
	}
}

// Further apart than two witnesses may differ, the moment says which line and file belong to which packets. Closer together is crowd_test.go.
func TestScenesOfOneClientAndOneNameAreJudgedRightByTheirMoments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s story
		want := map[uint16]scene{}
		all := scenes()
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		rng.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		for i, c := range all {
			s.play(c, time.Duration(i)*5*time.Second, "x", 2000+i, 800+10*i, "wire log files")
			want[uint16(2000+i)] = c
		}
		rng.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
		latest := map[tallyman.UUID]*tallyman.Transfer{}
		j := join.New(patient())
		for _, e := range s.list {
			j.Add(e)
			if rng.IntN(8) == 0 {
				for _, tr := range transfers(j.Changed()) {
					latest[tr.ID] = tr
				}
			}
		}
		for _, tr := range transfers(j.Changed()) {
			latest[tr.ID] = tr
		}
		maps.DeleteFunc(latest, func(_ tallyman.UUID, tr *tallyman.Transfer) bool { return !tr.Merged.IsZero() })
		if len(latest) != len(want) {
			rt.Errorf("%d records of %d transfers", len(latest), len(want))
		}
		for _, tr := range latest {
			c := want[tr.Client.Port()]
			if jd := tr.Judgement; jd.Verdict != c.verdict || jd.Reason != c.reason {
				rt.Errorf("%s: %s %s, want %s %s; for %v against %v", c.row, jd.Verdict, jd.Reason, c.verdict, c.reason, jd.For, jd.Against)
			}
		}
	})
}

func TestNoWitnessLessMakesAFalseComplete(t *testing.T) {
	for _, who := range []string{"wire log", "wire files", "log files", "wire", "log", "files"} {
		for _, c := range scenes() {
			var s story
			s.play(c, 0, "x", 2000, 800, who)
			for _, tr := range records(t, patient(), s.list) {
				bad := c.verdict != tallyman.Complete && (c.row != "W4" || strings.Contains(who, "files")) // nobody else sees a full disk
				if tr.Judgement.Verdict == tallyman.Complete && bad {
					t.Errorf("%s by %s: %s %s", c.row, who, tr.Judgement.Verdict, tr.Judgement.Reason)
				}
				if strings.Contains(who, "wire") && (c.row != "M1" || who != "wire files") && len(slices.Compact(records(t, patient(), s.list))) != 1 {
					t.Errorf("%s by %s: more than one record", c.row, who) // without the log nobody knows what the map did to the name
				}
			}
		}
	}
}

// Children of one server write their lines in any order. Where the kernel told which of them answered whom, that decides.
func TestProcessDecidesWhereTheOrderOfTheLogIsWrong(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s story
		want := map[uint16]scene{}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		for i, c := range scenes() {
			from := len(s.list)
			s.play(c, 0, "x", 2000+i, 800+10*i, "wire log files")
			want[uint16(2000+i)] = c
			late := time.Duration(rng.IntN(20)) * time.Millisecond // of the child
			for k := range s.list[from:] {
				e := &s.list[from+k]
				switch {
				case e.Witness != "wire":
					e.Time, e.Began = e.Time.Add(late), e.Began.Add(late)
				case e.Kind != tallyman.KindRequest:
					e.Proc.PID = int32(800 + 10*i)
				case c.asked > 1: // the second child
					e.Proc.PID = int32(801 + 10*i)
				}
			}
		}
		rng.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
		got := records(t, patient(), s.list)
		if len(got) != len(want) {
			rt.Errorf("%d records of %d transfers", len(got), len(want))
		}
		for _, tr := range got {
			c := want[tr.Client.Port()]
			if jd := tr.Judgement; jd.Verdict != c.verdict || jd.Reason != c.reason {
				rt.Errorf("%s: %s %s, want %s %s; for %v against %v", c.row, jd.Verdict, jd.Reason, c.verdict, c.reason, jd.For, jd.Against)
			}
		}
	})
}

// A map that refuses writes no line of the request (tftpd-hpa): the line that is there names neither direction nor moment of the request.
func TestRefusalByTheMapIsPairedByItsProcess(t *testing.T) {
	var s story
	m2 := scene{row: "M2", op: tallyman.OpGet, wire: []tallyman.Reason{tallyman.NotReadable}}
	s.play(m2, 0, "x", 2000, 800, "wire")
	s.list[1].Proc.PID = 800
	s.tell(5*time.Millisecond, tallyman.KindRefusal, func(e *tallyman.Evidence) {
		e.Witness, e.Op, e.Name, e.Proc.PID, e.Peer = "log", tallyman.NoOp, "x", 800, netip.MustParseAddrPort("10.0.0.7:0")
		e.Self, e.Reason = netip.AddrPort{}, tallyman.RemapDenied
	})
	got := records(t, patient(), s.list)
	if len(got) != 1 || got[0].Judgement.Reason != tallyman.RemapDenied || got[0].Client.Port() != 2000 {
		t.Errorf("%d records, the first %+v", len(got), got[0])
	}
}

// dnsmasq gives up after half a minute and writes "sent"; its packets are given up later.
func TestLineOfAnEndThatNobodyElseSawThenIsPairedWithWhatWentOn(t *testing.T) {
	play := func(clients int) []*tallyman.Transfer {
		var s story
		for i := range clients {
			s.play(scene{op: tallyman.OpGet, wire: []tallyman.Reason{tallyman.DeliveredUnconfirmed}, moved: 2560}, time.Duration(i), "d/x", 2000+i, 800, "wire")
		}
		s.tell(35*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) {
			e.Witness, e.Path, e.Peer, e.Self = "log", "/srv/d/x", netip.MustParseAddrPort("10.0.0.7:0"), netip.AddrPort{}
			e.Reason = tallyman.ClosedWell
		})
		return records(t, patient(), s.list)
	}
	got := play(1)
	if len(got) != 1 || got[0].Judgement.Reason != tallyman.DeliveredUnconfirmed {
		t.Errorf("%d records, the first %+v", len(got), got[0].Judgement)
	}
	if got := play(2); len(got) != 3 {
		t.Errorf("%d records: it was guessed which of two the line means", len(got))
	}
}

// One process serves many (atftpd): its uploads are told apart by the whole name, however close they are.
// The stamps of vsftpd have whole seconds: its line of the end may seem to be older than the request. The packets may tell no end: watch was killed.
func TestLineWithWholeSecondsIsPairedWithPacketsThatTellNoEnd(t *testing.T) {
	var s story
	s.play(scene{op: tallyman.OpPut, wire: []tallyman.Reason{tallyman.InGap}, moved: -1}, 417*time.Millisecond, "f", 2000, 0, "wire")
	for k := range s.list {
		s.list[k].Proto = "ftp"
		if s.list[k].Kind == tallyman.KindClosed {
			s.list[k].Time = s.list[k].Time.Add(20 * time.Second)
		}
	}
	request := s.list[0]
	line := request
	line.ID.Seq, line.Witness, line.Kind, line.Reason, line.Moved = 99, "log", tallyman.KindClosed, tallyman.Stored, 6
	line.Peer, line.Self = netip.AddrPortFrom(request.Peer.Addr(), 0), netip.AddrPort{}
	line.Name, line.Path, line.Began, line.Time = "", "/srv/f", time.Time{}, request.Time.Truncate(time.Second)
	if got := records(t, patient(), append(s.list, line)); len(got) != 1 {
		t.Errorf("%d records of one transfer", len(got))
	}
}

func TestWholeNamesTellTransfersOfOneProcessApart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s story
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		const n = 8
		for i := range n {
			name := fmt.Sprintf("d%d/x", i)
			s.play(scene{op: tallyman.OpPut, wire: []tallyman.Reason{tallyman.FinalAck}, moved: int64(1000 + i)}, 0, name, 2000+i, 0, "wire")
			told := len(s.list)
			s.play(scene{op: tallyman.OpPut, files: []file{{size: int64(1000 + i), modified: true, after: time.Millisecond}}}, time.Duration(rng.IntN(20))*time.Millisecond, name, 2000+i, 800, "files")
			for k := range s.list[:told] {
				if rng.IntN(2) == 0 && s.list[k].Kind == tallyman.KindClosed && s.list[k].Witness == "wire" {
					s.list[k].Proc.PID = 800 // some turned their socket
				}
			}
		}
		rng.Shuffle(len(s.list), func(a, b int) { s.list[a], s.list[b] = s.list[b], s.list[a] })
		got := records(t, patient(), s.list)
		if len(got) != n {
			rt.Errorf("%d records of %d transfers", len(got), n)
		}
		for _, tr := range got {
			if tr.Judgement.Reason != tallyman.Stored {
				rt.Errorf("%s of %s: %v", tr.Name, tr.Client, tr.Judgement)
			}
		}
	})
}

// atftpd does not write the port of an uploader: the thread holds its lines together.
func TestLinesOfOneThreadAreOneRecord(t *testing.T) {
	var s story
	line := func(e *tallyman.Evidence) {
		e.Witness, e.Op, e.Name, e.Session, e.Began = "log", tallyman.OpPut, "x", "800.1", t0
		e.Peer, e.Self = netip.MustParseAddrPort("10.0.0.7:0"), netip.AddrPort{}
	}
	s.tell(0, tallyman.KindRequest, line)
	s.tell(6*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) { line(e); e.Reason = tallyman.ClientSilent })
	s.tell(6*time.Second, tallyman.KindClosed, func(e *tallyman.Evidence) { line(e); e.Reason = tallyman.ClosedUnproven })
	if got := records(t, patient(), s.list); len(got) != 1 || got[0].Judgement.Reason != tallyman.ClientSilent {
		t.Errorf("%d records, the first %v", len(got), got[0].Judgement)
	}
}

func TestLineWithoutANameBelongsToTheRequestOfItsProcess(t *testing.T) {
	var s story
	line := func(name string, change func(*tallyman.Evidence)) func(*tallyman.Evidence) {
		return func(e *tallyman.Evidence) {
			e.Witness, e.Proto, e.Proc, e.Peer, e.Name = "log", "tftp", tallyman.Proc{PID: 812}, netip.MustParseAddrPort("10.0.0.7:0"), name
			e.Self = netip.AddrPort{}
			change(e)
		}
	}
	s.tell(0, tallyman.KindRequest, line("fw.bin", func(e *tallyman.Evidence) { e.Op, e.Began = tallyman.OpGet, t0 }))
	s.tell(time.Millisecond, tallyman.KindRefusal, line("", func(e *tallyman.Evidence) { e.Op, e.Reason = tallyman.NoOp, tallyman.NotFound }))
	for range 2 {
		got := records(t, patient(), s.list)
		if len(got) != 1 || got[0].Name != "fw.bin" || got[0].Judgement.Reason != tallyman.NotFound {
			t.Errorf("%d records, the first %q %+v", len(got), got[0].Name, got[0].Judgement)
		}
		slices.Reverse(s.list)
	}
}
