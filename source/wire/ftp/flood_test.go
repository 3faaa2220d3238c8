package ftp

import (
	"fmt"
	"net/netip"
	"testing"

	"tallyman/source/wire/frame"
)

func TestFloodOfConnectionsDrivesNoRealSessionOut(t *testing.T) {
	k := newTalk(t, func(c *Config) { c.Sessions = 20 })
	c := k.login().passive()
	for i := range 2000 {
		from := fmt.Sprintf("10.1.%d.%d:5", i>>8, i&255)
		if i%2 == 0 {
			k.open(from, server).says(1, "220 hello\r\n").acks(0)
			continue
		}
		k.table.Packet(&frame.Packet{Time: k.now, Kind: frame.TCP, Src: netip.MustParseAddrPort(from), Dst: netip.MustParseAddrPort(server), Flags: frame.SYN})
		if len(k.table.sessions) > 20 || len(k.table.fresh) > 40 {
			t.Fatalf("%d sessions, %d fresh", len(k.table.sessions), len(k.table.fresh))
		}
	}
	d := k.open("10.0.0.7:3000", passive)
	c.ask("STOR f", "150 go")
	d.says(0, "content").acks(1).fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("put closed reply-acknowledged 7")
	if e := k.last(); e.User != "u" || e.Digest == "" || k.table.Counts.Dropped < 1900 {
		t.Errorf("user %q, digest %q, %d dropped", e.User, e.Digest, k.table.Counts.Dropped)
	}
}
