package sqlite

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore"
	"tallyman/test/corpus"
)

// TestManyAskWhileOneWrites is for the race detector, and for images that the writer moves while they are read.
func TestManyAskWhileOneWrites(t *testing.T) {
	l := open(t)
	const batches = 60
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for n := range 3 {
		readers.Go(func() {
			for by := n; ; by++ {
				select {
				case <-stop:
					return
				default:
				}
				q := tallyman.StatsQuery{By: []string{"hour", "verdict", "file", "host"}[by%4]}
				rows, err := l.Stats(t.Context(), q)
				var sum int64
				for _, st := range rows {
					sum += st.Transfers
				}
				if err == nil && sum%20 != 0 {
					err = errors.New("a tile shows half a batch")
				}
				if _, more := count(l.Transfers(t.Context(), tallyman.Query{Limit: 30})); err != nil || more != nil {
					t.Error(err, more)
					return
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := l.Prune(t.Context(), sqlstore.Keep{Now: corpus.Day, Evidence: time.Hour}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	var all []*tallyman.Transfer
	for range batches {
		var b tallyman.Batch
		for range 20 {
			tr := ofVictim(uint64(len(all)), tallyman.Complete)
			all = append(all, tr)
			b.Records = append(b.Records, tr)
		}
		if err := l.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
	for _, by := range []string{"hour", "verdict", "file", "host", "proto"} {
		corpus.CheckTile(t, l, all, tallyman.StatsQuery{By: by})
	}
}

// alike returns records whose UUIDs differ in their last bits only, so that they want one place in the table.
func alike(n int) (list []*tallyman.Transfer) {
	for i := range n {
		tr := ofVictim(1, tallyman.Complete)
		tr.ID = tallyman.DrawUUID(tr.Start, tallyman.ID{Agent: victimAgent, Seq: 1})
		binary.BigEndian.PutUint32(tr.ID[12:], uint32(i))
		tr.Start = tr.Start.Add(time.Duration(i) * 24 * time.Hour)
		tr.Bytes = int64(i)
		list = append(list, tr)
	}
	return list
}

func TestRecordsWhoseUUIDsAreAlikeStayApart(t *testing.T) {
	l := open(t)
	list := alike(6)
	for _, tr := range list {
		if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{tr}}); err != nil {
			t.Fatal(err)
		}
	}
	present := func(from int) {
		t.Helper()
		for i, want := range list {
			got, err := l.Transfer(t.Context(), want.ID)
			if i < from {
				if !errors.Is(err, tallyman.ErrNotFound) {
					t.Errorf("%d is still there: %v", i, err)
				}
				continue
			}
			if err != nil || got.Bytes != want.Bytes || len(got.Evidence) != 1 {
				t.Errorf("%d came back as %+v, %v", i, got, err)
			}
		}
	}
	present(0)
	// The first ones go; the others move up, or their places would be behind a hole, and a repetition would stand there twice.
	keep := sqlstore.Keep{Now: list[5].Start, Transfers: 60 * time.Hour}
	if done, err := l.Prune(t.Context(), keep); err != nil || done.Transfers != 3 {
		t.Fatalf("pruned %+v, %v", done, err)
	}
	present(3)
	for _, tr := range list {
		if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{tr}}); err != nil {
			t.Fatal(err)
		}
	}
	present(3)
	if n, err := count(l.Transfers(t.Context(), tallyman.Query{})); n != 3 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestBatchesOfAllAgentsKeepTheirOwnMarks(t *testing.T) {
	l := open(t)
	for n := range uint64(3) {
		mark := tallyman.ID{Agent: tallyman.Agent{byte(n + 1)}, Epoch: 1, Seq: 10 * (n + 1)}
		if err := l.Write(t.Context(), tallyman.Batch{Mark: mark}); err != nil {
			t.Fatal(err)
		}
	}
	marks, err := l.Marks(t.Context())
	if err != nil || len(marks) != 3 || marks[2].Seq != 30 || marks[0].Agent != (tallyman.Agent{1}) {
		t.Errorf("%v, %v", marks, err)
	}
}

func TestRecordOfAnUnknownTypeIsRefusedWithItsBatch(t *testing.T) {
	l := open(t)
	err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{ofVictim(1, tallyman.Complete), nil}})
	if err == nil {
		t.Fatal("it was taken")
	}
	if n, err := count(l.Transfers(t.Context(), tallyman.Query{})); n != 0 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{ofVictim(1, tallyman.Complete)}}); err != nil {
		t.Errorf("the next batch: %v", err)
	}
}
