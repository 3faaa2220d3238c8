package tftp

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tallyman"
	"tallyman/details"
	"tallyman/source/wire/frame"
)

// sign is evidence about the transfer.
func (x *transfer) sign(t *Table, kind tallyman.Kind, at time.Time, server netip.AddrPort) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Proto = kind, "wire", t.cfg.Host, "tftp"
	e.Time, e.Began, e.Op, e.Name = tallyman.Clean(at), x.began, tallyman.OpGet, x.req.name
	e.Peer, e.Self = x.client, x.asked
	// A server that answers from another address is still the one that was asked.
	if server.IsValid() {
		e.Self = netip.AddrPortFrom(x.asked.Addr(), server.Port())
	}
	if x.req.write {
		e.Op = tallyman.OpPut
		if n := number(x.req.asked, "tsize"); n > 0 && !x.text {
			e.Expected = n
		}
	}
	return e
}

// open tells that the transfer runs, once.
func (x *transfer) open(t *Table, l *lane, p *frame.Packet) {
	if x.told || x.held && x.chosen == nil {
		return
	}
	x.tellRequest(t)
	e := x.sign(t, tallyman.KindOpened, p.Time, l.server)
	e.Details = x.running(l)
	x.progress = p.Time
	t.out(e)
}

func (x *transfer) tellRequest(t *Table) {
	x.told = true
	e := x.sign(t, tallyman.KindRequest, x.began, netip.AddrPort{})
	word := "RRQ"
	if x.req.write {
		word = "WRQ"
	}
	e.Raw = at(x.place) + word + " " + tallyman.Escape(x.req.name)
	t.out(e)
}

func (x *transfer) tellProgress(t *Table, l *lane, now time.Time) {
	if !x.told {
		return
	}
	x.progress = now
	e := x.sign(t, tallyman.KindProgress, now, l.server)
	e.Moved = l.confirmed()
	t.out(e)
}

// refuse tells that the server said no.
func (x *transfer) refuse(t *Table, l *lane, now time.Time, k packet) {
	x.tellRequest(t)
	e := x.sign(t, tallyman.KindRefusal, now, l.server)
	e.Reason, e.Err = refusal(k, x.req.write), k.text
	var d details.Builder
	d.Object("asked", x.req.asked)
	d.Count("error_code", int64(k.number))
	d.Time("last_packet", x.seen)
	d.Text("mode", x.req.mode)
	d.Number("packets", x.packets)
	e.Details = d.String()
	e.Raw = fmt.Sprintf("%sERROR %d %s from the server", at(l.lastAck), k.number, tallyman.Escape(k.text))
	t.out(e)
	x.stop(t, now, e.Reason)
}

func (x *transfer) closeError(t *Table, now time.Time, r tallyman.Reason, k packet, sender string) {
	x.closing(t, now, r, k.text, &k, sender)
}

func (x *transfer) close(t *Table, now time.Time, r tallyman.Reason, why string) {
	x.closing(t, now, r, why, nil, "")
}

// closing tells how the transfer ended. What may be the echo of the transfer before, and to which the client did not answer, is not told.
func (x *transfer) closing(t *Table, now time.Time, r tallyman.Reason, why string, k *packet, sender string) {
	if x.held && x.chosen == nil {
		x.stop(t, now, r)
		return
	}
	l := x.best()
	if !x.told {
		x.tellRequest(t)
	}
	var server netip.AddrPort
	if l != nil {
		server = l.server
	}
	e := x.sign(t, tallyman.KindClosed, now, server)
	e.Reason, e.Err, e.Moved = r, why, 0
	if l != nil {
		e.Moved = x.moved(l)
		if l.whole() && !l.odd && !l.twofold && l.sum != nil {
			e.Digest = digestOf(l.sum.wire)
			if x.text {
				e.Digest = digestOf(l.sum.disk)
			}
		}
	}
	e.Details = x.closed(l, k, sender)
	e.Raw = x.raw(l, k, sender)
	t.out(e)
	x.stop(t, now, r)
	if x.req.write && r == tallyman.FinalAck {
		x.final = &e
	}
}

// mayRetry tells, once, that the last block came again after it was acknowledged: the transfer has ended, and this adds a note to it. A client that lost the acknowledgement for good has failed in its own
// eyes (RFC 1350, section 6) and may send the whole file anew.
func (x *transfer) mayRetry(t *Table, k packet, p *frame.Packet) {
	if n, ok := x.chosen.ordinal(k.number, x.chosen.last); !ok || n != x.chosen.last {
		return
	}
	e := *x.final
	x.final, x.retry = nil, true
	e.Kind, e.Time, e.Reason = tallyman.KindProgress, tallyman.Clean(p.Time), ""
	e.Details = x.closed(x.chosen, nil, "")
	e.Raw = fmt.Sprintf("%sDATA %d again, behind its acknowledgement", at(p.Number), k.number)
	t.out(e)
}

// stop ends the transfer without a word.
func (x *transfer) stop(t *Table, now time.Time, r tallyman.Reason) {
	x.ended, x.endedAt, x.reason = true, now, r
	t.running--
	for _, l := range x.lanes {
		l.sum.release()
		l.early, l.sum, l.versions.blocks = nil, nil, nil
	}
}

// moved returns the payload bytes that were confirmed, of netascii as they stand on the disk. Those of a text that was not seen whole are not known.
func (x *transfer) moved(l *lane) int64 {
	if !x.text || l.confirmed() == 0 {
		return l.confirmed()
	}
	if l.cut || l.sum == nil {
		return -1
	}
	if l.whole() {
		l.sum.end()
	}
	return l.sum.decoded
}

func (x *transfer) mode() string {
	if x.text {
		return "netascii"
	}
	return "octet"
}

func (x *transfer) running(l *lane) string {
	var d details.Builder
	d.Object("asked", x.req.asked)
	d.Number("blksize", int64(l.block))
	d.Object("granted", l.granted)
	d.Text("mode", x.mode())
	d.Number("window", int64(l.window))
	return d.String()
}

func (x *transfer) closed(l *lane, k *packet, sender string) string {
	var d details.Builder
	if l != nil {
		d.Number("ambiguous_blocks", l.differ)
	}
	if l != nil && l.server.Addr() != x.asked.Addr() {
		d.Text("answered_from", l.server.String())
	}
	d.Object("asked", x.req.asked)
	if l != nil {
		d.Number("blksize", int64(l.block))
		d.Number("blocks", max(l.sent, 0))
		d.Number("blocks_acked", max(l.acked, 0))
	}
	if k != nil && sender == "client" {
		d.Count("client_code", int64(k.number))
	}
	if l != nil {
		d.Number("duplicates", l.repeated)
	}
	if k != nil && sender == "server" {
		d.Count("error_code", int64(k.number))
	}
	if l != nil {
		d.Object("granted", l.granted)
	}
	d.Time("last_packet", x.seen)
	if l != nil {
		d.Number("missing_bytes", l.missing*int64(l.block))
	}
	d.Text("mode", x.mode())
	if x.retry {
		d.Text("note", "client-may-retry")
	}
	d.Number("packets", x.packets)
	d.Number("requests", x.requests)
	if l != nil {
		again := l.answers
		if !x.req.write {
			again = l.repeated
		}
		d.Number("retransmits", again)
	}
	d.Number("strangers", x.strangers)
	strays := x.strays
	if l != nil {
		strays += l.strays
	}
	d.Number("strays", strays)
	if len(x.lanes) > 1 {
		d.Number("tids", int64(len(x.lanes)))
	}
	if l == nil {
		return d.String()
	}
	d.Number("window", int64(l.window))
	if x.text && l.whole() && l.sum != nil {
		d.Number("wire_bytes", (l.last-1)*int64(l.block)+int64(l.short))
		d.Text("wire_sha256", strings.TrimPrefix(string(digestOf(l.sum.wire)), "sha256:"))
	}
	return d.String()
}

// raw says which packets prove it.
func (x *transfer) raw(l *lane, k *packet, sender string) string {
	switch {
	case l == nil && k == nil:
		return fmt.Sprintf("%srequest, %d in all, no answer", at(x.place), x.requests)
	case k != nil && l != nil:
		return fmt.Sprintf("%sERROR %d %s from the %s after block %d of port %d", at(l.lastAck), k.number, tallyman.Escape(k.text), sender, max(l.acked, 0), l.server.Port())
	case k != nil:
		return fmt.Sprintf("ERROR %d %s from the %s", k.number, tallyman.Escape(k.text), sender)
	case l.last > 0:
		return fmt.Sprintf("%slast DATA is block %d with %d bytes; %sACK %d", at(l.lastData), l.last, l.short, at(l.lastAck), max(l.acked, 0))
	default:
		return fmt.Sprintf("%sDATA up to block %d; %sACK up to %d", at(l.lastData), l.sent, at(l.lastAck), max(l.acked, 0))
	}
}

// at names a packet of a capture; live packets have no number.
func at(number uint64) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("#%d ", number)
}

// refusal turns the ERROR that answered a request into a reason, by its code and, where servers use code 0 for many things, by its words.
func refusal(k packet, write bool) tallyman.Reason {
	denied := tallyman.NotReadable
	if write {
		denied = tallyman.NotWritable
	}
	switch k.number {
	case 1:
		return tallyman.NotFound
	case 2:
		return denied
	case 3:
		return tallyman.DiskFull
	case 4, 8:
		return tallyman.BadRequest
	case 6:
		return tallyman.Exists
	case 7:
		return tallyman.NotAllowed
	}
	text := strings.ToLower(k.text)
	for _, w := range []struct {
		word   string
		reason tallyman.Reason
	}{
		{"no such file", tallyman.NotFound},
		{"not found", tallyman.NotFound},
		{"no space", tallyman.DiskFull},
		{"disk full", tallyman.DiskFull},
		{"quota", tallyman.Quota},
		{"exists", tallyman.Exists},
		{"permission", denied},
		{"access", denied},
		{"denied", denied},
		{"is a directory", denied},
		{"read-only", denied},
		{"too long", tallyman.BadRequest},
		{"invalid", tallyman.BadRequest},
		{"illegal", tallyman.BadRequest},
	} {
		if strings.Contains(text, w.word) {
			return w.reason
		}
	}
	return tallyman.Policy
}

// brokenOff turns an ERROR of the server in mid-transfer into a reason. In place of the last acknowledgement of too short an upload it says that.
func brokenOff(x *transfer, l *lane, k packet) tallyman.Reason {
	expected := number(x.req.asked, "tsize")
	switch {
	case k.number == 3:
		return tallyman.DiskFull
	case x.req.write && l.delivered() && !x.text && expected > 0 && (l.last-1)*int64(l.block)+int64(l.short) < expected:
		return tallyman.Truncated
	default:
		return tallyman.ServerError
	}
}
