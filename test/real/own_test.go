//go:build real

package real

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallyman"
	"tallyman/join"
	"tallyman/ledger/sqlite"
)

// bridged puts a bridge over the server's end of the cable: each packet is seen on both, and on the loopback twice.
func (p *pair) bridged() {
	p.t.Helper()
	for _, words := range []string{
		"addr del " + p.server.String() + "/24 dev cable", "link add br0 type bridge", "link set cable master br0", "link set br0 up",
		"addr add " + p.server.String() + "/24 dev br0",
	} {
		command(p.t, "ip", append([]string{"-n", p.servers}, strings.Fields(words)...)...)
	}
}

// evidenceOf is all evidence of the records of a file in the ledger of a state folder.
func evidenceOf(t testing.TB, state string) (all []tallyman.Evidence) {
	t.Helper()
	l, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(state, "ledger.db"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for tr, err := range l.Transfers(t.Context(), tallyman.Query{Evidence: true, Limit: 1000}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tr.Evidence...)
	}
	return all
}

// Our own server sends windows of 64 blocks as one packet of the kernel (UDP_SEGMENT), and a watch of the same machine sees it on several interfaces. serve
// and watch keep books of their own: each has one record of a transfer, and what both saw is one record without a contradiction.
func TestOwnServerIsWatchedWithoutContradiction(t *testing.T) {
	p := newPair(t, "own")
	p.bridged()
	s := newServer(t)
	s.netns, s.listen = p.servers, p.server.String()+":69"
	s.start()
	i := newIsland(t)
	i.netns = p.servers
	w := &watching{island: i, root: s.root, state: filepath.Join(t.TempDir(), "state")}
	w.start()

	type sent struct {
		name, op string
		content  []byte
	}
	var all []sent
	const size = 6 << 20
	options := []string{"--option", "windowsize 64", "--option", "blksize 1428"}
	for n, netns := range []string{p.servers, p.clients} {
		name, content, dir := fmt.Sprintf("image-%d", n), noise(uint64(n), size+n*1428), t.TempDir()
		s.file(name, content)
		for _, arg := range [][]string{{"-g", "-r", name, "-l", "out"}, {"-p", "-r", "new-" + name, "-l", "out"}} {
			arg = append(append([]string{"netns", "exec", netns, "atftp"}, options...), append(arg, s.host(), s.port())...)
			if out, code := client(t, dir, nil, "ip", arg...); code != 0 {
				t.Fatalf("%v ends with %d: %s", arg, code, out)
			}
		}
		all = append(all, sent{name, "get", content}, sent{"new-" + name, "put", content})
	}
	binary := os.Getenv(binaryEnv)
	for _, x := range all {
		for _, state := range []string{s.state, w.state} {
			var list []record
			i.until(x.name+" is judged", func() bool {
				list = nil
				for line := range strings.Lines(command(t, binary, "ls", "file:"+x.name, "-n", "0", "--json", "--state", state)) {
					var r record
					if err := json.Unmarshal([]byte(line), &r); err != nil {
						t.Fatal(err)
					}
					if r.Proto == "tftp" {
						list = append(list, r)
					}
				}
				return len(list) > 0 && !slices.ContainsFunc(list, func(r record) bool { return !r.closed() })
			})
			sum := sha256.Sum256(x.content)
			r := &list[0]
			if len(list) != 1 || r.Op != x.op || r.Verdict != "complete" || r.Details.Duplicates != 0 || r.Details.Retransmits != 0 || len(r.Against) > 0 || r.Bytes == nil ||
				*r.Bytes != int64(len(x.content)) || r.SHA256 != hex.EncodeToString(sum[:]) || r.Details.Window != 64 {
				t.Errorf("%s in %s: %d records, %+v", x.name, filepath.Base(filepath.Dir(state)), len(list), *r)
			}
		}
	}
	w.stop()
	s.stop()

	// What both have seen, in one book.
	evidence := append(evidenceOf(t, s.state), evidenceOf(t, w.state)...)
	for k := range evidence {
		evidence[k].ID.Seq = uint64(k + 1) // of one sequence
		evidence[k].Host = "vm"
	}
	slices.SortStableFunc(evidence, func(a, b tallyman.Evidence) int { return a.Time.Compare(b.Time) })
	j := join.New(join.Defaults())
	latest := map[tallyman.UUID]*tallyman.Transfer{}
	for _, e := range evidence {
		e.Seen = e.Time
		j.Add(e)
		for _, r := range j.Changed() {
			if tr, ok := r.(*tallyman.Transfer); ok {
				latest[tr.ID] = tr
			}
		}
	}
	count := 0
	for _, tr := range latest {
		if !tr.Merged.IsZero() || tr.Proto != "tftp" {
			continue
		}
		count++
		if v := tr.Judgement; v.Verdict != tallyman.Complete || !slices.Contains(v.For, "server") || !slices.Contains(v.For, "wire") || len(v.Against) > 0 {
			t.Errorf("%s %s %s: %+v", tr.Op, tr.Name, tr.Client, v)
		}
	}
	if count != len(all) {
		t.Errorf("%d records of %d transfers", count, len(all))
	}
}
