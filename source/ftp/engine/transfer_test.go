package engine

import (
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/listing"
)

func TestUploadIsCompleteWhenItsReplyWasAcknowledged(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "STOR f")
	p.did("229, Open, Begin, 150, Move")
	p.moved(Ending{Bytes: 10})
	p.did("Store")
	p.stored(Stored{Size: 10})
	p.did("226")
	p.says("NOOP")
	p.did("Finish reply-acknowledged, 200")
}

// What is told later is about another moment: the record waits no longer, or somebody has put another file there.
func TestWhoAsksBehindAnUploadWhatIsStoredHasComparedIt(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	stored := func() *play {
		p := login(t, nil)
		p.open.Handle = "8:1"
		p.says("EPSV", "STOR f")
		p.moved(Ending{Bytes: 10, Digest: "sha256:" + tallyman.Digest(digest)})
		p.stored(Stored{Size: 10, Digest: "sha256:" + tallyman.Digest(digest)})
		p.log = nil
		return p
	}
	p := stored()
	p.answer = Answer{Info: listing.Info{Size: 10, ID: "8:1"}, Sum: digest}
	p.says("SIZE f", "SIZE f", "MDTM f", "XSHA256 f")
	p.did("Finish reply-acknowledged, Do SIZE f, Finish reply-acknowledged, 213, Do SIZE f, 213, Do MDTM f, 213, Do XSHA256 f, Finish reply-acknowledged, 250")
	if got := strings.Join(p.m.stored.Compared, " "); got != "SIZE XSHA256" {
		t.Errorf("compared by %q", got)
	}
	for _, other := range []Answer{{Info: listing.Info{Size: 11, ID: "8:1"}, Sum: digest}, {Info: listing.Info{Size: 10, ID: "8:2"}, Sum: strings.Repeat("cd", 32)}} {
		p := stored()
		p.answer = other
		p.says("SIZE f", "MLST f", "HASH f", "SIZE g")
		if got := p.m.stored.Compared; got != nil {
			t.Errorf("%+v: compared by %q", other, got)
		}
	}
	p = stored()
	p.answer = Answer{Info: listing.Info{Size: 10, ID: "8:1"}}
	p.pass(4 * time.Second)
	p.says("SIZE f")
	p.did("Finish reply-acknowledged, Do SIZE f, 213")
	// Asked before the reply was acknowledged, it is told with the end.
	p = stored()
	p.answer = Answer{Info: listing.Info{Size: 10, ID: "8:1"}}
	p.state.Unacked = 5
	p.says("OPTS MLST type;", "MLST f", "SIZE f")
	p.did("200, Do MLST f, 250, Do SIZE f, 213")
	p.state.Unacked = 0
	p.says("NOOP")
	p.did("Finish reply-acknowledged, 200")
	if got := strings.Join(p.m.stored.Compared, " "); got != "SIZE" {
		t.Errorf("compared by %q", got)
	}
}

func TestAReplyWithoutAFurtherCommandIsProvenByASecondWithoutAReset(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "RETR f")
	p.moved(Ending{Bytes: 10})
	p.did("229, Open, Begin, 150, Move, Drop, 226")
	p.pass(900 * time.Millisecond)
	p.did("")
	p.pass(2 * time.Second)
	p.did("Finish reply-acknowledged")
}

func TestAKilledClientIsControlLost(t *testing.T) {
	f := func(what string, then func(p *play), want string) {
		t.Helper()
		p := login(t, nil)
		p.says("EPSV", "STOR f")
		p.log = nil
		then(p)
		if got := strings.Join(p.log, ", "); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", what, got, want)
		}
	}
	gone := State{Alive: false}
	f("while data moves", func(p *play) {
		p.m.Lost(p.now, false, alive)
		p.drain()
		p.moved(Ending{How: Halted, Bytes: 5})
	}, "Halt, Drop, Finish control-lost, Hangup")
	f("when data had ended", func(p *play) {
		p.m.Moved(p.now, Ending{Bytes: 5, Alive: false})
		p.drain()
	}, "Drop, Finish control-lost")
	f("before it was stored", func(p *play) {
		p.moved(Ending{Bytes: 5})
		p.stored(Stored{Gone: true})
	}, "Store, 426, Finish control-lost")
	f("while it was stored", func(p *play) {
		p.moved(Ending{Bytes: 5})
		p.m.Lost(p.now, true, gone)
		p.drain()
		p.stored(Stored{Size: 5})
	}, "Store, Halt, Finish control-lost, Hangup")
	f("by a reset that answers the reply", func(p *play) {
		p.moved(Ending{Bytes: 5})
		p.stored(Stored{Size: 5})
		p.m.Lost(p.now, true, gone)
		p.drain()
	}, "Store, 226, Finish control-lost, Hangup")
	f("by a FIN, and then a reset", func(p *play) {
		p.moved(Ending{Bytes: 5})
		p.stored(Stored{Size: 5})
		p.m.Lost(p.now, false, alive)
		p.drain()
		p.state = gone
		p.pass(time.Second)
	}, "Store, 226, Finish control-lost, Hangup")
	f("not by a FIN alone", func(p *play) {
		p.moved(Ending{Bytes: 5})
		p.stored(Stored{Size: 5})
		p.m.Lost(p.now, false, alive)
		p.drain()
		p.pass(time.Second)
	}, "Store, 226, Finish reply-acknowledged, Hangup")
	f("not by QUIT", func(p *play) {
		p.moved(Ending{Bytes: 5})
		p.stored(Stored{Size: 5})
		p.says("QUIT")
	}, "Store, 226, Finish reply-acknowledged, 221, Hangup")
}

func TestAReplyThatIsNeverAcknowledgedProvesNothing(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "STOR f")
	p.moved(Ending{Bytes: 10})
	p.log = nil
	p.state = State{Alive: true, Unacked: 24}
	p.stored(Stored{Size: 10})
	p.says("NOOP") // sent before the reply came
	p.did("226, 200")
	p.pass(time.Minute)
	p.did("Finish reply-unacknowledged")
}

func TestADownloadIsCompleteOnlyWhenItsDataIsAcknowledgedToo(t *testing.T) {
	f := func(s State, secure string, want string) {
		t.Helper()
		p := login(t, nil)
		p.says("EPSV", "RETR f")
		p.moved(Ending{Bytes: 10, TLS: secure})
		p.log = nil
		p.state = s
		p.says("NOOP")
		p.pass(time.Minute)
		p.did(want)
	}
	f(alive, "", "Finish reply-acknowledged, 200")
	f(State{Alive: true, DataLeft: 5}, "", "200, Finish reply-unacknowledged")
	f(State{Alive: true, DataReset: true}, "", "Finish client-gone, 200")
	f(State{Alive: true, DataReset: true}, "TLS 1.3", "Finish reply-acknowledged, 200") // it left our close_notify unread
	f(State{Alive: true, DataReset: true, DataLeft: 5}, "TLS 1.3", "Finish client-gone, 200")
}

func TestWhatDoesNotEndWellIsNotStored(t *testing.T) {
	f := func(e Ending, want string) {
		t.Helper()
		p := login(t, nil)
		p.says("EPSV", "STOR f")
		p.log = nil
		p.moved(e)
		p.did(want)
	}
	f(Ending{How: NoPeer}, "Drop, 425, Finish timeout")
	f(Ending{How: Reset, Bytes: 5}, "Drop, 426, Finish client-gone")
	f(Ending{How: Silent, Bytes: 5}, "Drop, 426, Finish client-silent")
	f(Ending{How: Stranger}, "Drop, 522, Finish data-peer-mismatch")
	f(Ending{How: NoTLS}, "Drop, 522, Finish client-error")
	f(Ending{How: Disk, Err: &Refusal{Reason: tallyman.DiskFull}}, "Drop, 452, Finish disk-full")
	f(Ending{How: Disk, Err: &Refusal{Reason: tallyman.Quota}}, "Drop, 552, Finish quota")
	f(Ending{How: Disk, Err: &Refusal{Reason: tallyman.IOError}}, "Drop, 451, Finish io-error")
	p := login(t, nil)
	p.says("EPSV", "STOR f")
	p.moved(Ending{Bytes: 5})
	p.log = nil
	p.stored(Stored{Err: &Refusal{Reason: tallyman.DiskFull}})
	p.did("452, Finish disk-full")
}

func TestUnderTLSABareEndIsACut(t *testing.T) {
	f := func(line string, notify bool, want string) {
		t.Helper()
		p := start(t, nil)
		p.says("AUTH TLS")
		p.m.Secured(p.now)
		p.says("USER u", "PASS p", "TYPE I", "PBSZ 0", "PROT P", "EPSV", line)
		p.log = nil
		p.moved(Ending{Bytes: 5, TLS: "TLS 1.3", Resumed: true, Notify: notify})
		if notify && line[0] == 'S' {
			p.stored(Stored{Size: 5})
		}
		p.says("NOOP")
		p.did(want)
	}
	f("STOR f", true, "Store, 226, Finish close-notify, 200")
	f("STOR f", false, "Drop, 426, Finish no-close-notify, 200")
	f("RETR f", false, "Drop, 226, Finish reply-acknowledged, 200")
}

func TestAborBreaksOffAndIsAnswered(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "STOR f")
	p.log = nil
	p.says("ABOR", "ABOR")
	p.did("Halt")
	p.moved(Ending{How: Halted, Bytes: 5})
	p.did("Drop, 426, 226, Finish client-abort")
	p.says("ABOR")
	p.did("226")
	// It came when the data had ended: of an upload that counts, of a download all is there.
	p.says("EPSV", "STOR f", "ABOR")
	p.log = nil
	p.moved(Ending{Bytes: 5})
	p.did("Drop, 426, 226, Finish client-abort")
	p.says("EPSV", "RETR f", "ABOR")
	p.log = nil
	p.moved(Ending{Bytes: 10})
	p.says("NOOP")
	p.did("Drop, 226, 226, Finish reply-acknowledged, 200")
	// While it is stored it counts until the file has its name.
	p.says("EPSV", "STOR f")
	p.moved(Ending{Bytes: 5})
	p.log = nil
	p.says("ABOR")
	p.stored(Stored{Gone: true})
	p.did("Halt, 426, 226, Finish client-abort")
	p.says("EPSV", "STOR f")
	p.moved(Ending{Bytes: 5})
	p.log = nil
	p.says("ABOR")
	p.stored(Stored{Size: 5})
	p.says("NOOP")
	p.did("Halt, 226, 226, Finish reply-acknowledged, 200")
}

func TestCommandsBehindATransferWaitForIt(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "RETR f")
	p.log = nil
	p.m.Count(7)
	p.says("NOOP", "PWD", "STAT")
	p.did("213")
	if !strings.Contains(p.last, "7 of 10 bytes") {
		t.Error(p.last)
	}
	p.moved(Ending{Bytes: 10})
	p.did("Drop, 226, 200, 257")
	p.says("EPSV", "RETR f")
	p.log = nil
	for range mostWaiting {
		p.says("NOOP")
	}
	p.did("")
	p.says("NOOP")
	p.did("421, Halt")
	p.moved(Ending{How: Halted})
	if !p.over {
		t.Error("it goes on")
	}
}

func TestARunningTransferTellsHowFarItIs(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "STOR f")
	p.log = nil
	p.pass(3500 * time.Millisecond)
	p.did("Progress, Progress, Progress")
	p.pass(time.Hour)
	p.moved(Ending{How: Reset})
	p.log = nil
	p.pass(299 * time.Second)
	p.did("")
	p.pass(2 * time.Second)
	p.did("421, Hangup")
}

func TestTwoTransfersNeverBeganAtOnce(t *testing.T) {
	p := login(t, nil)
	seen := map[time.Time]bool{}
	for range 3 {
		p.says("EPSV", "RETR f")
		if at := p.m.Running().Began; seen[at] {
			t.Error("again ", at)
		} else {
			seen[at] = true
		}
		p.moved(Ending{Bytes: 10})
	}
}

func TestOffsetsAndAnnouncements(t *testing.T) {
	p := login(t, nil)
	p.says("REST 5", "ALLO 10")
	p.did("350, 200")
	p.says("EPSV", "STOR f")
	if x := p.m.Running(); x.Announced != -1 {
		t.Errorf("announced %d for a resumed upload", x.Announced)
	}
	p.moved(Ending{How: Reset})
	p.says("ALLO 10", "EPSV", "STOR f")
	if x := p.m.Running(); x.Announced != 10 || x.Offset != 0 {
		t.Errorf("%+v", x)
	}
	p.moved(Ending{How: Reset})
	p.log = nil
	p.says("REST -1", "REST 99999999999999999999", "REST x", "ALLO x", "TYPE A", "REST 5", "REST 0")
	p.did("501, 501, 501, 501, 200, 554, 350")
}

func TestARefusalIsRecordedAndTheSessionGoesOn(t *testing.T) {
	p := login(t, nil)
	f := func(line string, r tallyman.Reason, want string) {
		t.Helper()
		p.open = Opened{Err: &Refusal{Reason: r, Text: "/srv/secret is closed"}}
		p.says("EPSV", line)
		p.did("229, " + want)
		if strings.Contains(p.last, "/srv") {
			t.Errorf("the client was told %q", p.last)
		}
	}
	f("RETR f", tallyman.NotFound, "Open, 550, Refuse not-found")
	f("STOR f", tallyman.Exists, "Open, 553, Refuse exists")
	f("STOR f", tallyman.Policy, "Open, 550, Refuse policy")
	f("STOR f", tallyman.DiskFull, "Open, 452, Refuse disk-full")
	f("RETR ../../etc/passwd", "", "553, Refuse bad-request")
	f("STOR /", "", "553, Refuse bad-request")
	f("LIST none", tallyman.NotFound, "Open, 550, Refuse not-found")
	p.says("RETR f")
	p.did("425, Refuse bad-request")
}
