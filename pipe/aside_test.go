package pipe_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
	"tallyman/pipe"
	"tallyman/spool"
)

// picky is a ledger that does not take some records, nor any batch that holds one.
type picky struct {
	*books
	not func(name string) bool
}

func (p *picky) Write(ctx context.Context, b tallyman.Batch) error {
	for _, r := range b.Records {
		if t, ok := r.(*tallyman.Transfer); ok && p.not(t.Name) {
			return errors.New("string or blob too big")
		}
	}
	return p.books.Write(ctx, b)
}

// used is a ledger that has taken a record, and the spool that it came from.
func used(t *testing.T) (*spool.Spool, *books) {
	t.Helper()
	dir, b := t.TempDir(), newBooks()
	s := openSpool(t, dir, nil)
	p := start(t, pipe.Parts{Spool: s, Ledger: b})
	p.Record(evidence(99, tallyman.KindClosed))
	drain(t, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openSpool(t, dir, nil), b
}

func TestRecordThatTheLedgerNeverTakesHoldsBackNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := used(t)
		defer s.Close()
		var aside []string
		p := start(t, pipe.Parts{
			Spool: s, Ledger: &picky{books: b, not: func(name string) bool { return name == "f7" || name == "f40" }},
			Aside: func(r tallyman.Record, _ error) (string, error) {
				aside = append(aside, r.(*tallyman.Transfer).Name)
				return "aside.ndjson", nil
			},
		})
		batch := make([]tallyman.Evidence, 0, 60)
		for n := range 60 {
			batch = append(batch, evidence(n, tallyman.KindClosed))
		}
		p.Record(batch...)
		drain(t, p)
		got := b.by(t)
		if len(got) != 59 || got["f7"] != nil || got["f40"] != nil {
			t.Errorf("%d of 61 records, want all but f7 and f40", len(got))
		}
		if slices.Sort(aside); !slices.Equal(aside, []string{"f40", "f7"}) {
			t.Errorf("set aside: %q", aside)
		}
		gaps := b.gaps()
		if len(gaps) != 2 || gaps[0].Lost != 1 || !strings.Contains(gaps[0].Why, "too big; it is kept in aside.ndjson") {
			t.Errorf("gaps: %+v", gaps)
		}
		if st := p.Status(); st.Aside != 2 || st.Lost != 0 || st.Backlog != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestLedgerAtFaultIsWaitedFor(t *testing.T) {
	run := func(what string, records int, aside func(tallyman.Record, error) (string, error)) {
		synctest.Test(t, func(t *testing.T) {
			s, b := used(t)
			defer s.Close()
			p := start(t, pipe.Parts{Spool: s, Ledger: &picky{books: b, not: func(string) bool { return true }}, Aside: aside})
			for i := range records {
				p.Record(evidence(i, tallyman.KindClosed))
			}
			long, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := p.Drain(long); err == nil || p.Status().Aside != 0 || len(b.gaps()) != 0 {
				t.Errorf("%s: drained %v, %+v", what, err, p.Status())
			}
		})
	}
	run("it takes none of many", 40, func(tallyman.Record, error) (string, error) { return "", nil })
	run("there is no room to set one aside", 1, func(tallyman.Record, error) (string, error) { return "", errors.New("no space left on device") })
}
