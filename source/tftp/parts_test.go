package tftp

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/packet"
	"tallyman/source/tftp/udp"
)

func TestWheelMissesNoDeadline(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var w wheel
		var now time.Duration
		waiting := map[*transfer]time.Duration{}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.IntRange(0, 2).Draw(r, "what") {
			case 0:
				x := &transfer{due: now + time.Duration(rapid.Int64Range(0, 10e9).Draw(r, "due"))}
				waiting[x] = x.due
				w.set(x)
			case 1:
				for x := range waiting { // a packet came: another deadline
					x.due = now + time.Duration(rapid.Int64Range(0, 10e9).Draw(r, "new due"))
					waiting[x] = x.due
					w.set(x)
					break
				}
			case 2:
				for x := range waiting {
					w.remove(x)
					delete(waiting, x)
					break
				}
			}
			if d := w.wait(now); len(waiting) > 0 && d < 0 || len(waiting) == 0 && d >= 0 {
				r.Fatalf("%d wait, the wheel waits %v", len(waiting), d)
			}
			now += time.Duration(rapid.Int64Range(0, 3e9).Draw(r, "pass"))
			for x := w.next(now); x != nil; x = w.next(now) {
				if x.due > now {
					w.set(x)
					continue
				}
				delete(waiting, x)
			}
			for x, due := range waiting {
				if due+wheelTick <= now {
					r.Fatalf("a deadline of %v has not come up at %v", due, now)
				}
				if x.place.next == nil {
					r.Fatal("a deadline was lost")
				}
			}
			if d := w.wait(now); len(waiting) > 0 {
				earliest := 10 * time.Hour
				for _, due := range waiting {
					earliest = min(earliest, due)
				}
				if now+d > earliest+wheelTick {
					r.Fatalf("the wheel sleeps until %v, due is %v", now+d, earliest)
				}
			}
		}
	})
}

func TestHalfOpenTransfersAreBoundedPerSource(t *testing.T) {
	h := newHalfOpen()
	var all []*transfer
	take := func(client string) {
		x := &transfer{client: netip.MustParseAddrPort(client)}
		h.take(x)
		all = append(all, x)
	}
	free := func(client string) bool { return h.free(netip.MustParseAddrPort(client).Addr()) }
	for range halfOpenPerSource {
		take("192.0.2.1:1000")
		take("[2001:db8::1]:1000")
	}
	if free("192.0.2.1:1000") || free("[2001:db8::ffff]:1000") {
		t.Error("a source is above its bound")
	}
	if !free("192.0.2.2:1000") || !free("[2001:db8:0:1::1]:1000") {
		t.Error("another source is shut out")
	}
	for _, x := range all {
		h.give(x, false)
	}
	if h.reads.length+h.uploads.length+len(h.sources) != 0 || h.reads.oldest != nil || h.reads.newest != nil {
		t.Errorf("tokens are left: %+v", h)
	}
}

func TestOldestHalfOpenTransferMakesRoom(t *testing.T) {
	h := newHalfOpen()
	var all []*transfer
	for i := range halfOpenReads + 1 {
		if h.excess() != nil {
			t.Fatalf("too many at %d", i)
		}
		x := &transfer{client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)}
		h.take(x)
		all = append(all, x)
	}
	if h.excess() != all[0] {
		t.Error("not the oldest one has to go")
	}
	h.give(all[1], false) // answered
	if h.excess() != nil {
		t.Error("a token that was given back does not count")
	}
	h.take(all[1])
	h.give(all[0], false)
	h.take(all[0])
	if h.excess() != all[2] {
		t.Error("not the oldest one has to go")
	}
}

func TestKnownSourceNeedNotMakeRoom(t *testing.T) {
	h := newHalfOpen()
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	}
	answered := &transfer{client: at(0)}
	h.take(answered)
	h.give(answered, true)
	again := &transfer{client: at(0)}
	h.take(again)
	for i := range halfOpenReads {
		h.take(&transfer{client: at(i + 1)})
	}
	if h.excess() != nil {
		t.Error("a known source counts among the unknown")
	}
	h.take(&transfer{client: at(halfOpenReads + 1)})
	if old := h.excess(); old == nil || old == again {
		t.Error("the known source has to go")
	}
	for i := range 3 * knownSources {
		x := &transfer{client: at(1<<20 + i)}
		h.take(x)
		h.give(x, true)
	}
	if n := len(h.known) + len(h.before); n > 2*knownSources || h.isKnown(at(0).Addr()) {
		t.Errorf("%d sources are remembered, the first among them: %v", n, h.isKnown(at(0).Addr()))
	}
}

func TestDetailsAreCanonical(t *testing.T) {
	var d details
	is := func(options packet.Options, want string) {
		t.Helper()
		got := d.refused(packet.Request{ModeName: []byte("octet"), Options: options}, packet.Error{Code: 4}, true)
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is no JSON", got)
		}
	}
	is(nil, `{"mode":"octet"}`)
	is(packet.Options("tsize\x000\x00blksize\x0010\x00"), `{"asked":{"blksize":"10","tsize":"0"},"mode":"octet"}`)
	is(packet.Options("a\x001\x00a\x002\x00"), `{"asked":{"a":"1"},"mode":"octet"}`)
	is(packet.Options("a\"\\\n\x00\xff\x1b\x00"), `{"asked":{"a\"\\\\n":"\\xff\\x1b"},"mode":"octet"}`)
	many := packet.Options{}
	for i := range 30 {
		many = packet.AppendOption(many, string(rune('a'+i%26))+"x", "1")
	}
	if got := d.refused(packet.Request{Options: many}, packet.Error{}, true); !json.Valid([]byte(got)) || len(got) > 300 {
		t.Errorf("many options gave %s", got)
	}
}

func FuzzDetailsAreJSON(f *testing.F) {
	f.Add([]byte("blksize\x001428\x00"), []byte("octet"))
	f.Add([]byte("\"\x00\\\x00\xff\x00\u202e\x00"), []byte("\x00\x1f\x7f"))
	f.Fuzz(func(t *testing.T, options, mode []byte) {
		var d details
		x := &transfer{options: string(options), grant: engine.Grant{BlockSize: 512, Window: 1, TSize: 7}}
		for _, got := range []string{
			d.refused(packet.Request{ModeName: mode, Options: options}, packet.Error{Code: 4}, false),
			d.running(x),
			d.closed(x, &engine.Outcome{LastBlock: 1, ClientSaid: true}),
		} {
			if !json.Valid([]byte(got)) {
				t.Fatalf("%s is no JSON", got)
			}
		}
	})
}

func TestLanesRestBeforeTheyServeAgain(t *testing.T) {
	poll, err := udp.NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	l := lanes{poll: poll, homes: map[netip.Addr]*home{}}
	defer l.shutAll()
	local := netip.MustParseAddr("127.0.0.1")
	client := udp.MakeAddr(netip.MustParseAddrPort("127.0.0.1:5"))
	never := func(*lane) bool { return false }
	seen := map[*lane]int{}
	for i := range 200 {
		a, err := l.forRead(local, &client, never)
		if err != nil {
			t.Fatal(err)
		}
		if last, ok := seen[a]; ok && i-last < restingLanes {
			t.Fatalf("a lane came back after %d transfers", i-last)
		}
		seen[a] = i
		l.pass(a, &client)
		client = udp.MakeAddr(netip.AddrPortFrom(local, uint16(i+10)))
	}
	if len(seen) != restingLanes+1 {
		t.Errorf("%d lanes were opened for one transfer at a time", len(seen))
	}
}

func TestLanesAreSharedButNotByOneClient(t *testing.T) {
	poll, err := udp.NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	l := lanes{poll: poll, homes: map[netip.Addr]*home{}}
	defer l.shutAll()
	local, b := netip.MustParseAddr("127.0.0.1"), table{}
	used := map[*lane]int{}
	for i := range 3 * sharedFrom {
		x := &transfer{client: netip.AddrPortFrom(local, uint16(1+i%700))}
		x.peer = udp.MakeAddr(x.client)
		if x.lane, err = l.forRead(local, &x.peer, func(a *lane) bool { return b.on(x.client, a) != nil }); err != nil {
			t.Fatal(err)
		}
		if b.on(x.client, x.lane) != nil {
			t.Fatal("one client has two transfers on one lane")
		}
		x.lane.enter(x)
		b.add(x)
		used[x.lane]++
	}
	if len(used) != sharedFrom {
		t.Errorf("%d lanes for %d transfers", len(used), 3*sharedFrom)
	}
	for _, x := range b.all() {
		b.remove(x)
		l.leave(x.lane, x)
	}
	if h := l.homes[local]; len(b) != 0 || len(h.rest) != sharedFrom {
		t.Errorf("at the end %d transfers are known, %d lanes rest", len(b), len(h.rest))
	}
}
