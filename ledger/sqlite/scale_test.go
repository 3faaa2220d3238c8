//go:build scale

package sqlite

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore"
	"tallyman/query"
)

// The scale of facts: 45 days of 200 hosts and 4,000 clients that ask for 200,000 names. Run it with
//
//	go test -tags scale -run Scale -v -timeout 60m ./ledger/sqlite
var records = flag.Int("records", 4_800_000, "how many records to write")

const (
	scaleDays    = 45
	scaleClients = 4000
	scaleFiles   = 200_000
	scaleHosts   = 200
	scaleBatch   = 500
)

// maker makes transfers as a TFTP server tells of them.
type maker struct {
	rand          *rand.Rand
	files, client *rand.Zipf
	from          time.Time
	step          time.Duration
	seq           uint64
}

func newMaker(n, files, clients int) *maker {
	r := rand.New(rand.NewPCG(1, 2))
	return &maker{
		rand: r, files: rand.NewZipf(r, 1.07, 8, uint64(files-1)), client: rand.NewZipf(r, 1.2, 8, uint64(clients-1)),
		from: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-scaleDays), step: scaleDays * 24 * time.Hour / time.Duration(n),
	}
}

var ends = []struct {
	share   int
	verdict tallyman.Verdict
	reason  tallyman.Reason
}{
	{860, tallyman.Complete, tallyman.FinalAck},
	{60, tallyman.Refused, tallyman.NotFound},
	{40, tallyman.Probe, tallyman.SizeProbe},
	{20, tallyman.Failed, tallyman.ClientSilent},
	{10, tallyman.Aborted, tallyman.ClientError},
	{9, tallyman.Unproven, tallyman.DeliveredUnconfirmed},
	{1, tallyman.Contradicted, tallyman.AnnouncedSize},
}

func (m *maker) transfer() *tallyman.Transfer {
	r := m.rand
	m.seq++
	at := tallyman.Clean(m.from.Add(time.Duration(m.seq-1) * m.step))
	n := r.IntN(1000)
	end := ends[0]
	for _, e := range ends {
		if end = e; n < e.share {
			break
		}
		n -= e.share
	}
	file, client := m.files.Uint64(), m.client.Uint64()
	name := fmt.Sprintf("site%02d/rack%03d/switch-%06d-confg", file%97, file%991, file)
	t := &tallyman.Transfer{
		Rev: 1, Start: at, End: at.Add(time.Duration(r.IntN(900_000)) * time.Microsecond),
		Host: fmt.Sprintf("tftp-%03d", file%scaleHosts), Proto: "tftp", Op: tallyman.OpGet,
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(client >> 8), byte(client)}), uint16(1024+r.IntN(60000))),
		Server: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(file % scaleHosts)}), uint16(1024+r.IntN(60000))),
		Name:   name, Path: "/srv/tftp/" + name, Proc: tallyman.Proc{PID: 812, Start: 33021},
		Expected: int64(r.IntN(90_000)), Content: tallyman.Full,
		Judgement: tallyman.Judgement{Verdict: end.verdict, Reason: end.reason, For: []string{"server"}},
	}
	if client%10 == 0 {
		t.Op = tallyman.OpPut
	}
	t.Seen = t.End.Add(time.Duration(r.IntN(50_000)) * time.Microsecond)
	t.ID = tallyman.DrawUUID(t.Start.Add(time.Millisecond), tallyman.ID{Agent: scaleAgent, Epoch: 1, Seq: 2 * m.seq})
	if end.verdict == tallyman.Complete {
		var sum [32]byte
		for i := range sum {
			sum[i] = byte(r.Uint32())
		}
		t.Bytes, t.Digest = t.Expected, tallyman.Digest("sha256:"+hex.EncodeToString(sum[:]))
		blocks := t.Bytes/1428 + 1
		t.Details = fmt.Sprintf(`{"asked":{"blksize":"1428","tsize":"0"},"blksize":1428,"blocks":%d,"blocks_acked":%d,"granted":{"blksize":"1428","tsize":"%d"},"mode":"octet","requests":1,"rtt_us":%d,"window":1}`,
			blocks, blocks, t.Bytes, 100+r.IntN(9000))
	} else {
		t.Content, t.Bytes, t.Expected = tallyman.NoContent, 0, -1
		t.Details = `{"asked":{"tsize":"0"},"error_code":1,"mode":"octet"}`
	}
	m.evidence(t)
	return t
}

var scaleAgent = tallyman.Agent{0x5c, 0xa1, 0xe}

func (m *maker) evidence(t *tallyman.Transfer) {
	e := tallyman.Unknown()
	e.ID = tallyman.ID{Agent: scaleAgent, Epoch: 1, Seq: 2 * m.seq}
	e.Time, e.Began, e.Seen, e.Host, e.Witness, e.Proto, e.Op = t.Start, t.Start, t.Seen.Add(-time.Millisecond), t.Host, "server", t.Proto, t.Op
	e.Peer, e.Self, e.Proc, e.Name, e.Path, e.Kind = t.Client, t.Server, t.Proc, t.Name, t.Path, tallyman.KindRequest
	e.File, e.Size, e.Expected = fmt.Sprintf("fe01:%d:%d", 260000+m.seq%200000, m.seq%7), t.Expected, t.Expected
	closed := e
	closed.ID.Seq++
	closed.Time, closed.Seen, closed.Kind = t.End, t.Seen, tallyman.KindClosed
	closed.Moved, closed.Details, closed.Digest, closed.Reason = t.Bytes, t.Details, t.Digest, t.Judgement.Reason
	t.Evidence = []tallyman.Evidence{e, closed}
}

func (m *maker) batch(n int) tallyman.Batch {
	b := tallyman.Batch{Records: make([]tallyman.Record, n)}
	for i := range b.Records {
		b.Records[i] = m.transfer()
	}
	b.Mark = tallyman.ID{Agent: scaleAgent, Epoch: 1, Seq: 2*m.seq + 1}
	return b
}

// processTime is the CPU time that the process has used.
func processTime(t testing.TB) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// making is the CPU time of a record before it is written.
func making(t *testing.T) time.Duration {
	began := processTime(t)
	for m, done := newMaker(*records, scaleFiles, scaleClients), 0; done < 20_000; done += scaleBatch {
		m.batch(scaleBatch)
	}
	return (processTime(t) - began) / 20_000
}

// fillTo writes records and tells what one costs.
func fillTo(t *testing.T, l *Ledger, m *maker, n, part int) {
	made := making(t)
	began, used := time.Now(), processTime(t)
	for done := scaleBatch; done <= n; done += scaleBatch {
		if err := l.Write(t.Context(), m.batch(scaleBatch)); err != nil {
			t.Fatal(err)
		}
		if done%part == 0 {
			now := processTime(t)
			t.Logf("%9d records: %5.1f us CPU a record, %6.0f records/s", done,
				float64((now-used)/time.Duration(part)-made)/1e3, float64(part)/time.Since(began).Seconds())
			began, used = time.Now(), now
		}
	}
}

// TestScaleOfOneBusyServer writes what a load test does: few clients, few files.
func TestScaleOfOneBusyServer(t *testing.T) {
	l := open(t)
	m := newMaker(4_800_000, 50, 128)
	fillTo(t, l, m, 200_000, 50_000)
}

func TestScaleKeepsItsBars(t *testing.T) {
	ctx := t.Context()
	n := *records
	l := openAt(t, filepath.Join(t.TempDir(), "scale.db"))
	fillTo(t, l, newMaker(n, scaleFiles, scaleClients), n, n/16)
	report(t, l, int64(n))
	if _, err := l.Prune(ctx, sqlstore.Keep{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	ask(t, l)
	t.Logf("recount of a day: %v", timed(t, 1, func() error {
		r, err := l.Recount(ctx, time.Now().AddDate(0, 0, -3))
		if err == nil && len(r.Differences) > 0 {
			err = fmt.Errorf("%d cells differ: %+v", len(r.Differences), r.Differences[0])
		}
		return err
	}))
	t.Logf("backup: %v", timed(t, 1, func() error { return l.Backup(ctx, filepath.Join(t.TempDir(), "copy.db")) }))
	began := time.Now()
	done, err := l.Prune(ctx, sqlstore.Keep{Now: time.Now(), Transfers: 40 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("prune: %d transfers in %v", done.Transfers, time.Since(began))
}

func report(t *testing.T, l *Ledger, n int64) {
	st, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := l.read.Query("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var evidence int64
	for rows.Next() {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			t.Fatal(err)
		}
		if name == "evidence" {
			evidence = size
		}
		if size > 0 && float64(size)/float64(n) > 0.5 {
			t.Logf("%-32s %6.1f bytes a record", name, float64(size)/float64(n))
		}
	}
	with, without := float64(st.Used)/float64(n), float64(st.Used-evidence)/float64(n)
	t.Logf("%.0f bytes a record, %.0f without evidence", with, without)
	if with > 600 || without > 420 {
		t.Errorf("the bars are 600 and 420 bytes")
	}
}

// timed returns the first and the median time of some runs.
func timed(t *testing.T, runs int, f func() error) []time.Duration {
	t.Helper()
	var took []time.Duration
	for range runs {
		began := time.Now()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began).Round(10*time.Microsecond))
	}
	first := took[0]
	slices.Sort(took)
	return []time.Duration{first, took[len(took)/2]}
}

const bar = 10 * time.Millisecond

func ask(t *testing.T, l *Ledger) {
	day := time.Now().UTC().Truncate(24 * time.Hour)
	for _, days := range []int{1, 7, 30, 45} {
		for _, by := range []string{"hour", "verdict", "proto", "host", "client", "file"} {
			q := tallyman.StatsQuery{By: by, From: day.AddDate(0, 0, 1-days), Limit: 20}
			took := timed(t, 11, func() error { _, err := l.Stats(t.Context(), q); return err })
			verdict(t, fmt.Sprintf("tile by %s, %d days", by, days), took)
		}
	}
	for _, text := range []string{
		"", "client:10.20.0.0", "client:10.20.0.7", "client:10.20.9.5", "client:10.20.15.0/24", "client:10.20.0.0/24", "client:10.20.4.0/22", "client:10.20.0.0/16",
		"file:site00/*", "file:site00/rack000/*", "file:site42/rack5*", "file:site4*", "file:site*", "file:site13/rack110/switch-000110-confg", "file:nothing*",
		"verdict:failed", "verdict:contradicted", "verdict:refused", "outcome:unknown", "proto:tftp op:upload", "size:>80000", "took:>800ms",
		"verdict:failed client:10.20.0.7", "verdict:failed file:site00/*", "-verdict:complete -verdict:refused",
		"switch-000110", "switch-19999", "confg", "10.20.15.7", "reason:client-silent",
	} {
		e, err := query.Parse(text, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []tallyman.Query{
			{Where: e, Limit: 100}, {Where: e, Limit: 100, After: tallyman.Cursor{At: day.AddDate(0, 0, -20), ID: tallyman.UUID{1}}},
		} {
			n := 0
			took := timed(t, 5, func() (err error) { n, err = length(l.Transfers(t.Context(), q)); return err })
			page := "first page"
			if !q.After.IsZero() {
				page = "a page 20 days back"
			}
			verdict(t, fmt.Sprintf("list of %q, %s, %d rows", text, page, n), took)
		}
	}
	var some *tallyman.Transfer
	for tr, err := range l.Transfers(context.Background(), tallyman.Query{Limit: 1, To: day.AddDate(0, 0, -9)}) {
		if err != nil {
			t.Fatal(err)
		}
		some = tr
	}
	verdict(t, "one by its id, with evidence", timed(t, 11, func() error { _, err := l.Transfer(t.Context(), some.ID); return err }))
	verdict(t, "still running", timed(t, 11, func() error {
		_, err := length(l.Transfers(t.Context(), tallyman.Query{Open: true, Evidence: true}))
		return err
	}))
	verdict(t, "recent, 30 s", timed(t, 11, func() error {
		_, err := length(l.Recent(t.Context(), day.AddDate(0, 0, 1).Add(-30*time.Second)))
		return err
	}))
}

func length[T any](seq iter.Seq2[T, error]) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func verdict(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	late := ""
	if took[1] > bar {
		late = "   OVER THE BAR"
	}
	t.Logf("%-70s first %10v median %10v%s", what, took[0], took[1], late)
}
