package record

import (
	"strconv"
	"time"
	"unicode/utf8"

	"tallyman"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/packet"
)

// detailOptions is how many options of a request are written down; a request has room for hundreds.
const detailOptions = 16

// details writes the protocol facts of evidence as canonical JSON: keys in
// order, no spaces, numbers that are 0 left out. It reuses its memory.
type details struct {
	buf     []byte
	options [detailOptions]option
}

type option struct{ name, value []byte }

// running is what is known when the transfer begins.
func (d *details) running(a *About) string {
	d.open()
	d.asked(packet.Options(a.Options))
	d.number("blksize", int64(a.Grant.BlockSize))
	d.granted(a.Grant)
	d.text("mode", modeName(a.Text))
	d.number("window", int64(a.Grant.Window))
	return d.close()
}

// closed is what is known at the end.
func (d *details) closed(a *About, out *engine.Outcome) string {
	d.open()
	d.asked(packet.Options(a.Options))
	d.number("blksize", int64(a.Grant.BlockSize))
	d.number("blocks", int64(out.LastBlock))
	d.number("blocks_acked", int64(out.LastAcked))
	if out.ClientSaid {
		d.key("client_code")
		d.buf = strconv.AppendUint(d.buf, uint64(out.ClientCode), 10)
	}
	d.number("duplicates", int64(out.Duplicates))
	d.number("gaps", int64(out.Gaps))
	d.granted(a.Grant)
	d.text("mode", modeName(a.Text))
	d.number("requests", int64(out.Requests))
	d.number("retransmits", int64(out.Retransmits))
	d.number("rtt_us", int64(out.RTT/time.Microsecond))
	d.number("strangers", int64(a.Strangers))
	d.number("strays", int64(out.Strays))
	d.number("window", int64(a.Grant.Window))
	return d.close()
}

// refused is what is known of a request that was not served.
func (d *details) refused(r packet.Request, answer *packet.Error) string {
	d.open()
	d.asked(r.Options)
	if answer != nil {
		d.key("error_code")
		d.buf = strconv.AppendUint(d.buf, uint64(answer.Code), 10)
	}
	d.key("mode")
	d.quote(r.ModeName)
	return d.close()
}

func (d *details) asked(o packet.Options) {
	if len(o) > 0 {
		d.key("asked")
		d.object(o)
	}
}

func (d *details) granted(g engine.Grant) {
	if !g.OACK() {
		return
	}
	var buf [128]byte
	if options, ok := packet.ParseOACK(g.AppendOACK(buf[:0])); ok {
		d.key("granted")
		d.object(options)
	}
}

// object writes options in the order of their names; of a duplicate the first
// counts, as in the negotiation.
func (d *details) object(o packet.Options) {
	n := 0
	for name, value := range o.All() {
		if n == len(d.options) {
			break
		}
		at := n
		for at > 0 && string(d.options[at-1].name) > string(name) {
			at--
		}
		if at > 0 && string(d.options[at-1].name) == string(name) {
			continue
		}
		copy(d.options[at+1:n+1], d.options[at:n])
		d.options[at] = option{name, value}
		n++
	}
	d.buf = append(d.buf, '{')
	for i, o := range d.options[:n] {
		if i > 0 {
			d.buf = append(d.buf, ',')
		}
		d.quote(o.name)
		d.buf = append(d.buf, ':')
		d.quote(o.value)
	}
	d.buf = append(d.buf, '}')
	clear(d.options[:n])
}

func modeName(text bool) string {
	if text {
		return "netascii"
	}
	return "octet"
}

func (d *details) open() { d.buf = append(d.buf[:0], '{') }

func (d *details) close() string {
	d.buf = append(d.buf, '}')
	return string(d.buf)
}

func (d *details) key(name string) {
	if len(d.buf) > 1 {
		d.buf = append(d.buf, ',')
	}
	d.buf = append(d.buf, '"')
	d.buf = append(d.buf, name...)
	d.buf = append(d.buf, '"', ':')
}

func (d *details) number(name string, n int64) {
	if n != 0 {
		d.key(name)
		d.buf = strconv.AppendInt(d.buf, n, 10)
	}
}

func (d *details) text(name, value string) {
	d.key(name)
	d.quote([]byte(value))
}

// quote writes text of a stranger: escaped for people as everywhere, then for JSON.
func (d *details) quote(s []byte) {
	d.buf = append(d.buf, '"')
	if plain(s) {
		d.buf = append(d.buf, s...)
	} else {
		for _, r := range tallyman.Escape(string(s)) {
			if r == '"' || r == '\\' {
				d.buf = append(d.buf, '\\')
			}
			d.buf = utf8.AppendRune(d.buf, r)
		}
	}
	d.buf = append(d.buf, '"')
}

// plain reports whether s needs no escaping of any kind.
func plain(s []byte) bool {
	for _, c := range s {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
