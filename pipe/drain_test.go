package pipe_test

import (
	"context"
	"errors"
	"testing"

	"tallyman"
	"tallyman/pipe"
)

func TestDrainThatGaveUpIsNotWaitedForTwice(t *testing.T) {
	s, b := openSpool(t, t.TempDir(), nil), newBooks()
	defer s.Close()
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	b.setRefuse(errors.New("down"))
	p.Record(evidence(1, tallyman.KindClosed))
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Drain(gone); err == nil {
		t.Error("drain says that all is stored while the ledger is down")
	}
	if err := p.Drain(context.Background()); err != nil { // it would wait for ever
		t.Errorf("the second call: %v", err)
	}
}
