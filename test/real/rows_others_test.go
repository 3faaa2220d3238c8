//go:build real

package real

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tallyman/source/files"
	"tallyman/source/logs"
)

// dnsmasq repeats the last block for half a minute before it writes "sent".
const othersStall = 45 * time.Second

// lies are rows of servers that write down an end, and not always what came of it.
func lies(upload bool) []row {
	whole := content(3000, 0o644)
	rows := []row{
		{name: "good", what: "read done", prepare: whole, want: []string{"complete final-ack"}, closes: 1, play: func(p *player) {
			p.ask(opRead).get(1)
		}},
		{name: "last", what: "all data, no last ACK", prepare: whole, want: []string{"unproven delivered-unconfirmed"}, closes: 1, play: func(p *player) {
			c := p.ask(opRead)
			for block := 1; block < 6; block++ {
				c.expect(opData, block)
				c.send(opAck, block, nil)
			}
			c.expect(opData, 6)
			vanish(c)
		}},
		{name: "gone", what: "reader vanishes", prepare: whole, want: []string{"failed client-silent"}, closes: 1, play: func(p *player) {
			c := p.ask(opRead)
			c.expect(opData, 1)
			vanish(c)
		}},
		{name: "none", what: "missing file", prepare: nothing, want: []string{"refused not-found"}, play: func(p *player) {
			p.ask(opRead).expect(opError, -1)
		}},
		{name: "two", what: "two readers of one file, one sends ERROR", prepare: whole, want: []string{"aborted client-error", "complete final-ack"}, closes: 1, play: func(p *player) {
			a, b := p.ask(opRead), p.ask(opRead)
			a.expect(opData, 1)
			b.expect(opData, 1)
			a.send(opError, 0, []byte("no\x00"))
			b.send(opAck, 1, nil)
			b.get(2)
		}},
	}
	if upload {
		rows = append(rows,
			row{name: "up", what: "upload done", prepare: nothing, want: []string{"complete stored"}, closes: 1, play: func(p *player) {
				p.ask(opWrite).put(3000)
			}},
			row{name: "half", what: "uploader vanishes", prepare: nothing, want: []string{"failed client-silent"}, closes: 1, play: func(p *player) {
				c := p.ask(opWrite)
				c.begin()
				vanish(c)
			}})
	}
	return rows
}

// onOne plays the rows on one server; start starts it, and says where its log is, if not in the journal.
func onOne(t *testing.T, act int, at netip.AddrPort, rows []row, program string, stall time.Duration, start func(s *stage, root string) []logs.File) {
	t.Helper()
	s := newStage(t, act)
	s.more, s.patience = []uint16{at.Port()}, 2*soon
	if at.Addr().Is6() {
		s.ours = netip.Addr.Is6
	}
	root := s.folder(t, program, "")
	var players []*player
	for i := range rows {
		p := &player{stage: s, name: rows[i].name + "/f", root: mkdir(t, root, rows[i].name), at: at}
		must(os.Chmod(p.root, 0o777))
		rows[i].prepare(filepath.Join(p.root, "f"))
		players = append(players, p)
	}
	s.island = newIsland(t)
	text := start(s, root)
	up(t, at.String())
	s.witness([]files.Root{{Path: root, Proto: "tftp", Programs: []string{program}}}, text, stall, func() {
		trial := &player{stage: s, name: tryName, at: at}
		trial.ask(opRead).Close()
	})
	s.perform(rows, players)
	judged(t, rows, players, s.records(), program)
}

// The ring of the kernel drops packets beside a flood, and rightly tells a gap: no other test runs beside these, which most of the time wait for servers
// to give up.
func TestLiesOfOtherServersAreFoundOut(t *testing.T) {
	for name, play := range map[string]func(*testing.T){"dnsmasq": liesOfDnsmasq, "atftpd": liesOfAtftpd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t)
		})
	}
}

func liesOfDnsmasq(t *testing.T) {
	at := netip.MustParseAddrPort("127.77.200.1:69") // it takes no other port
	onOne(t, 2, at, lies(false), "dnsmasq", othersStall, dnsmasqOn(at.Addr()))
}

// dnsmasqOn starts dnsmasq on an address.
func dnsmasqOn(at netip.Addr) func(s *stage, root string) []logs.File {
	return func(s *stage, root string) []logs.File {
		program, libraries := peer(s.t, "dnsmasq")
		s.launch(program, libraries, "-k", "--port=0", "--enable-tftp", "--tftp-root="+root, "--listen-address="+at.String(), "--bind-interfaces",
			"--user=root", "-C", "/dev/null", "--pid-file="+s.dir+"/dm.pid")
		return nil
	}
}

func liesOfAtftpd(t *testing.T) {
	at := netip.AddrPortFrom(netip.MustParseAddr("127.77.201.1"), uint16(10003+os.Getpid()%5000*4))
	onOne(t, 3, at, lies(true), "atftpd", othersStall, func(s *stage, root string) []logs.File {
		own := s.file("atftpd.log")
		program, libraries := peer(t, "atftpd")
		s.launch(program, libraries, "--daemon", "--no-fork", "--port", fmt.Sprint(at.Port()), "--verbose=7", "--logfile", own, "--user", "root.root",
			"--retry-timeout", "1", "--bind-address", at.Addr().String(), root)
		return []logs.File{{Path: own, Format: "atftpd", FromStart: true}}
	})
}
