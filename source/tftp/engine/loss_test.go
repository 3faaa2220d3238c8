package engine

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// game is one transfer over one network.
type game struct {
	upload, eager bool
	octets        int
	options       string
	lose, double  float64
	delay, jitter time.Duration
	late          float64       // share of packets that the jitter delays
	interval      time.Duration // the client's timer
	tries         int
	slow          time.Duration // storing of an upload
	seed          uint64
}

// played is what became of it.
type played struct {
	out   Outcome
	whole bool          // the client takes the transfer for whole
	equal bool          // both ends hold the same
	took  time.Duration // until the last progress
	sent  int
}

// play runs the game and checks what must hold in any network.
func (g game) play(t testing.TB) played {
	t.Helper()
	random := rand.New(rand.NewPCG(g.seed, 1))
	n := &network{random: random, lose: g.lose, double: g.double, delay: g.delay, jitter: g.jitter, late: g.late}
	op := "RRQ"
	if g.upload {
		op = "WRQ"
	}
	c := client{
		request:  request(t, op+" f octet "+g.options),
		interval: g.interval, tries: g.tries, blockSize: 512, window: 1,
	}
	s := &server{t: t, cfg: Defaults(), slow: g.slow, storing: Never}
	var end *client
	if g.upload {
		w := &writer{client: c, eager: g.eager}
		w.content = content(g.seed, g.octets)
		w.start(n)
		n.run(t, w, s)
		end = &w.client
	} else {
		s.content = content(g.seed, g.octets)
		r := &reader{client: c}
		r.start(n)
		n.run(t, r, s)
		end = &r.client
	}
	p := played{whole: end.whole, equal: bytes.Equal(s.content, end.content), sent: n.sent}
	if s.machine != nil {
		p.out, p.took = s.machine.Outcome(), s.machine.Progress()
	}
	g.judge(t, p, s)
	return p
}

// judge holds the verdict against what really happened.
func (g game) judge(t testing.TB, p played, s *server) {
	t.Helper()
	good := p.out.Reason == FinalAck || p.out.Reason == Stored
	switch {
	case s.machine == nil && p.whole:
		t.Fatalf("%+v: whole without a server", g)
	case s.machine == nil:
	case p.out.Reason == "":
		t.Fatalf("%+v: no reason", g)
	case good && !p.equal:
		t.Fatalf("%+v: %q, but the contents differ", g, p.out.Reason)
	case p.whole && !p.equal:
		t.Fatalf("%+v: the client takes a damaged content for whole", g)
	case g.upload && p.whole && !good:
		t.Fatalf("%+v: the client has its last ACK, the server says %q", g, p.out.Reason)
	case g.upload && good != s.whole:
		t.Fatalf("%+v: %q, stored %v", g, p.out.Reason, s.whole)
	case !g.upload && good && !p.whole:
		t.Fatalf("%+v: final ACK of a client that has not all", g)
	case !g.upload && p.whole && !good && p.out.Reason != Unconfirmed:
		t.Fatalf("%+v: the client has all, the server says %q", g, p.out.Reason)
	case good && p.out.Bytes != int64(g.octets):
		t.Fatalf("%+v: %d octets counted", g, p.out.Bytes)
	}
}

// options of a game's request.
func options(blockSize, window int) string {
	text := ""
	if blockSize != 512 {
		text += " blksize=" + strconv.Itoa(blockSize)
	}
	if window > 1 {
		text += " windowsize=" + strconv.Itoa(window)
	}
	return text
}

func TestVerdictsAreHonestOnAnyNetwork(t *testing.T) {
	good := 0
	const games = 6000
	for seed := range uint64(games) {
		random := rand.New(rand.NewPCG(seed, 2))
		blockSize := []int{8, 512, 512, 1428}[random.IntN(4)]
		g := game{
			upload:   random.IntN(2) == 0,
			eager:    random.IntN(3) == 0,
			octets:   random.IntN(60*blockSize) / (1 + random.IntN(4)*random.IntN(blockSize)),
			options:  options(blockSize, []int{1, 1, 2, 4, 16}[random.IntN(5)]),
			lose:     []float64{0, 0.01, 0.05, 0.2, 0.5}[random.IntN(5)],
			double:   []float64{0, 0, 0.05, 0.5}[random.IntN(4)],
			delay:    []time.Duration{0, 50 * time.Microsecond, 20 * ms}[random.IntN(3)],
			jitter:   []time.Duration{0, 0, ms, 50 * ms}[random.IntN(4)],
			late:     []float64{0.05, 1}[random.IntN(2)],
			interval: []time.Duration{40 * ms, time.Second, 5 * time.Second}[random.IntN(3)],
			tries:    1 + random.IntN(8),
			slow:     []time.Duration{0, 2 * time.Second}[random.IntN(2)],
			seed:     seed,
		}
		if random.IntN(4) == 0 {
			g.octets = g.octets / blockSize * blockSize
		}
		if p := g.play(t); p.out.Reason == FinalAck || p.out.Reason == Stored {
			good++
		}
	}
	if good < games/2 {
		t.Errorf("only %d of %d transfers were good", good, games)
	}
	t.Logf("%d of %d transfers were good", good, games)
}

func TestFivePercentLossFailsNoTransfer(t *testing.T) {
	f := func(name string, g game, limit time.Duration) {
		t.Helper()
		const games = 200
		var times []time.Duration
		packets := 0
		for seed := range uint64(games) {
			g.octets, g.lose, g.seed = 100_000, 0.05, seed
			g.delay, g.jitter, g.late = 200*time.Microsecond, ms, 0.01
			g.tries = 6
			p := g.play(t)
			if !p.whole || !p.equal || (p.out.Reason != FinalAck && p.out.Reason != Stored && p.out.Reason != Unconfirmed) {
				t.Fatalf("%s, seed %d: client whole %v, %q", name, seed, p.whole, p.out.Reason)
			}
			times = append(times, p.took)
			packets += p.sent
		}
		slices.Sort(times)
		p50, p99 := times[games/2], times[games*99/100]
		t.Logf("%-22s p50 %5d ms, p99 %6d ms, %d packets of the server each", name, p50/ms, p99/ms, packets/games)
		if p50 > limit {
			t.Errorf("%s: p50 is %v, want at most %v", name, p50, limit)
		}
	}
	f("read 512", game{interval: time.Second}, 2*time.Second)
	f("read 512, 5 s client", game{interval: 5 * time.Second}, 2*time.Second)
	f("read 1428 window 16", game{interval: time.Second, options: options(1428, 16)}, time.Second)
	f("write 512", game{interval: time.Second, upload: true}, 12*time.Second)
	f("write 512 eager", game{interval: time.Second, upload: true, eager: true}, 2*time.Second)
	f("write 1428 window 16", game{interval: time.Second, upload: true, options: options(1428, 16)}, 4*time.Second)
}

func TestDuplicatingNetworkDoesNotMultiplyPackets(t *testing.T) {
	f := func(limit int, g game) {
		t.Helper()
		g.octets, g.double, g.delay, g.interval, g.tries = 512*200, 1, ms, time.Second, 5
		p := g.play(t)
		if !p.whole || p.sent > limit {
			t.Errorf("%+v: %d packets of the server for 201 blocks, whole %v", g, p.sent, p.whole)
		}
	}
	f(205, game{})
	f(205, game{upload: true})
	f(205, game{upload: true, eager: true})
	f(402, game{options: options(512, 8)}) // this client answers a doubled block with an ACK inside the window
	f(60, game{upload: true, options: options(512, 8)})
	f(60, game{upload: true, eager: true, options: options(512, 8)})
}

func TestLossyRolloverKeepsTheContent(t *testing.T) {
	f := func(g game) {
		t.Helper()
		g.octets, g.lose, g.double, g.delay, g.jitter, g.late = 8*65600+3, 0.002, 0.002, 50*time.Microsecond, ms, 0.002
		g.interval, g.tries = time.Second, 8
		if p := g.play(t); !p.whole || !p.equal || p.out.LastBlock != 65601 {
			t.Errorf("%+v: whole %v equal %v %+v", g, p.whole, p.equal, p.out)
		}
	}
	f(game{options: options(8, 1)})
	f(game{options: options(8, 16)})
	f(game{upload: true, options: options(8, 1)})
	f(game{upload: true, options: options(8, 16)})
}

func TestFirstTwoRepliesLostHealByTheRepeatedRequest(t *testing.T) {
	for _, text := range []string{"RRQ f octet", "RRQ f octet tsize=0", "WRQ f octet", "WRQ f octet tsize=0"} {
		var m machine = &Read{}
		if text[0] == 'W' {
			m = &Write{}
		}
		s := &script{t: t, m: m}
		g := grant(t, text, Defaults(), 100)
		lost := say(m.Start(0, g, Defaults()))
		s.tick(lost)
		s.now = 5 * time.Second
		s.expect(m.Tick(s.now), "") // the timer has said its one repetition
		s.expect(m.Repeat(s.now), lost)
	}
}
