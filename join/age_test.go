package join_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// TestEvidenceDies joins what is seen in ten days of a watched machine, every half minute something of some witness, much of it without an end or without a like, and
// looks each hour at all that the Join holds. An hour that brings nothing leaves nothing but the renames that wait, which are few.
func TestEvidenceDies(t *testing.T) {
	const days = 10
	rng := rand.New(rand.NewPCG(3, 4))
	j := join.New(join.Defaults())
	seq, most := uint64(0), 0
	tell := func(at time.Time, witness, proto string, kind tallyman.Kind, change func(*tallyman.Evidence)) {
		seq++
		e := tallyman.Unknown()
		e.ID = tallyman.ID{Epoch: 1, Seq: seq}
		e.Time, e.Seen, e.Kind, e.Host, e.Witness, e.Proto, e.Op, e.Began = at, at, kind, "lab", witness, proto, tallyman.OpGet, at
		change(&e)
		j.Add(e)
	}
	for i := range days * 24 * 120 {
		at := t0.Add(time.Duration(i) * 30 * time.Second)
		n := rng.IntN(1 << 24)
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), uint16(1024+n%60000))
		name, pid := fmt.Sprintf("f%d", rng.IntN(5000)), int32(1+n%30000)
		log := func(e *tallyman.Evidence) { e.Peer, e.Name, e.Proc.PID = netip.AddrPortFrom(peer.Addr(), 0), name, pid }
		wire := func(e *tallyman.Evidence) { e.Peer, e.Name = peer, name }
		file := func(e *tallyman.Evidence) { e.Path, e.File, e.Proc.PID = "/srv/"+name, fmt.Sprint(n), pid }
		switch i % 8 {
		case 0: // one transfer, seen by all
			tell(at, "log", "tftp", tallyman.KindRequest, log)
			tell(at, "wire", "tftp", tallyman.KindOpened, wire)
			tell(at, "files", "", tallyman.KindOpened, file)
			tell(at, "files", "", tallyman.KindClosed, file)
			tell(at, "wire", "tftp", tallyman.KindClosed, func(e *tallyman.Evidence) { wire(e); e.Reason = tallyman.FinalAck })
		case 1: // a line alone
			tell(at, "log", "tftp", tallyman.KindRequest, log)
		case 2: // a boot search that finds nothing
			tell(at, "wire", "tftp", tallyman.KindRefusal, func(e *tallyman.Evidence) { wire(e); e.Name, e.Reason = name+".cfg", tallyman.NotFound })
		case 3: // a file under a temporary name that nobody renames
			tell(at, "files", "", tallyman.KindClosed, func(e *tallyman.Evidence) { file(e); e.Path = "/srv/.in." + name + "."; e.Op = tallyman.OpPut })
		case 4: // a rename of a file that nobody saw
			tell(at, "files", "", tallyman.KindRenamed, func(e *tallyman.Evidence) { file(e); e.From, e.Path = "/srv/.in."+name+".", "/srv/"+name })
		case 5: // a session of TLS, and a line that may speak of it
			tell(at, "wire", "ftps", tallyman.KindClosed, func(e *tallyman.Evidence) { wire(e); e.Name, e.Reason = "", tallyman.ClosedUnproven })
			tell(at, "log", "ftp", tallyman.KindClosed, func(e *tallyman.Evidence) { log(e); e.Session = fmt.Sprint(n); e.Reason = tallyman.Stored })
		case 6: // packets of which the end was not seen, and a gap behind them
			tell(at, "wire", "tftp", tallyman.KindOpened, wire)
			tell(at.Add(time.Second), "wire", "", tallyman.KindGap, func(e *tallyman.Evidence) { e.Err = "packets were lost" })
		case 7:
			tell(at, "log", "sftp", tallyman.KindLoginFailed, log)
		}
		j.Changed()
		j.Advance(at)
		if i%120 == 119 {
			most = max(most, j.Held())
			if j.Held() > 600 { // of 225 pieces an hour
				t.Fatalf("after %s %d things are held: %+v", at.Sub(t0), j.Held(), j.Sizes())
			}
		}
	}
	later := t0.AddDate(0, 0, days).Add(time.Hour)
	for i := range 3 { // it looks once a second; what was lost across a gap is given up after some minutes
		j.Changed()
		j.Advance(later.Add(time.Duration(i) * 10 * time.Minute))
	}
	sizes := j.Sizes()
	t.Logf("%d things at the most, %+v at the end", most, sizes)
	if sizes["renames"] > 256 {
		t.Errorf("%d renames wait", sizes["renames"])
	}
	delete(sizes, "renames")
	for what, n := range sizes {
		if n > 0 {
			t.Errorf("%d %s are held for ever", n, what)
		}
	}
}

// TestFloodOfGapsIsBounded tells of more gaps than are kept. What fell silent before the first of them is unproven all the same.
func TestFloodOfGapsIsBounded(t *testing.T) {
	j := join.New(join.Defaults())
	add := func(seq int, at time.Duration, witness string, kind tallyman.Kind) {
		e := tallyman.Unknown()
		e.ID = tallyman.ID{Epoch: 1, Seq: uint64(seq)}
		e.Kind, e.Host, e.Witness, e.Proto, e.Op, e.Name, e.Peer = kind, "lab", witness, "tftp", tallyman.OpGet, "f", netip.MustParseAddrPort("10.0.0.7:2000")
		e.Began, e.Time, e.Seen = t0, t0.Add(at), t0.Add(at)
		j.Add(e)
	}
	add(1, 0, "wire", tallyman.KindOpened)
	add(2, time.Second, "wire", tallyman.KindGap)
	for i := range 100_000 {
		add(3+i, time.Second+time.Duration(i)*time.Millisecond, []string{"log", "files"}[i%2], tallyman.KindGap)
	}
	if n := j.Sizes()["gaps"]; n > 256 {
		t.Errorf("%d gaps are held", n)
	}
	j.Changed()
	j.Advance(t0.Add(3 * time.Minute))
	got := j.Changed()
	if len(got) != 1 || got[0].(*tallyman.Transfer).Judgement.Reason != tallyman.InGap {
		t.Errorf("%+v", got)
	}
}
