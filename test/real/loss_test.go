//go:build real

package real

import (
	"testing"
)

// lossy moves 16 files at once over a cable that loses packets both ways.
func lossy(t *testing.T, name string, perMille, size int) (trips []trip, failed int) {
	t.Helper()
	p := newPair(t, name)
	s := p.serve("give_up: 10s")
	p.lose(perMille)
	trips = plan(16, size)
	travel(s, trips, func(i int) mover {
		switch {
		case trips[i].op == "put":
			return byDevice(p.device(s))
		case i%4 == 0: // reads are repaired by the server's timer, whatever the client's is
			return byCurl(t, s.addr, p.clients, "--max-time", "60")
		}
		return byAtftp(t, s.addr, p.clients) // without options: it gives up when an OACK is repeated
	})
	failed = verdicts(s, trips)
	t.Logf("%d of %d transfers of %d bytes failed: %v", failed, len(trips), size, names(trips))
	return trips, failed
}

func TestAtOnePercentLossAllTransfersSucceed(t *testing.T) {
	t.Parallel()
	if _, failed := lossy(t, "one", 10, 100_000); failed > 0 {
		t.Errorf("%d failed", failed)
	}
}

func TestAtFivePercentLossAllTransfersSucceed(t *testing.T) {
	t.Parallel()
	if _, failed := lossy(t, "five", 50, 100_000); failed > 0 {
		t.Errorf("%d failed", failed)
	}
}

func TestAtTwentyPercentLossNoVerdictIsWrong(t *testing.T) {
	t.Parallel()
	lossy(t, "twenty", 200, 8_000)
}
