package query

import (
	"net/netip"
	"strings"

	"tallyman"
)

// field says how the value of a field is read.
type field struct {
	example string
	parse   func(p *parser, t tallyman.Term, w word) (tallyman.Expr, error)
}

var fields = map[tallyman.Field]field{
	tallyman.FieldVerdict: {"verdict:failed", words("verdict", verdicts)},
	tallyman.FieldReason:  {"reason:not-found", words("reason", reasons)},
	tallyman.FieldOutcome: {"outcome:failure", words("outcome", outcomes)},
	tallyman.FieldClient:  {"client:10.20.0.0/16", parseClient},
	tallyman.FieldFile:    {"file:*.cfg", parseText},
	tallyman.FieldProto:   {"proto:tftp", words("protocol", protos)},
	tallyman.FieldOp:      {"op:upload", words("operation", ops)},
	tallyman.FieldHost:    {"host:lab-tftp-01", parseText},
	tallyman.FieldUser:    {"user:backup", parseText},
	tallyman.FieldSize:    {"size:>1MiB", parseSize},
	tallyman.FieldTook:    {"took:<2s", parseTook},
	tallyman.FieldKind:    {"kind:transfer", words("kind", kinds)},
	tallyman.FieldSHA256:  {"sha256:9f86d081", parseSHA256},
	tallyman.FieldSearch:  {"search:yes", words("answer", answers)},
	tallyman.FieldToClass: {"to_class:removable", words("class", classes)},
}

// fieldNames lists the fields in the order in which people read them.
func fieldNames() []string {
	return []string{"verdict", "client", "file", "proto", "op", "host", "user", "size", "took", "reason", "outcome", "kind", "sha256", "search", "to_class"}
}

// otherNames are what people call the fields; they are not taken, but answered.
var otherNames = map[string]tallyman.Field{
	"ip": tallyman.FieldClient, "addr": tallyman.FieldClient, "address": tallyman.FieldClient, "src": tallyman.FieldClient, "from": tallyman.FieldClient,
	"name": tallyman.FieldFile, "path": tallyman.FieldFile, "filename": tallyman.FieldFile,
	"status": tallyman.FieldVerdict, "state": tallyman.FieldVerdict, "result": tallyman.FieldOutcome, "error": tallyman.FieldReason,
	"bytes": tallyman.FieldSize, "duration": tallyman.FieldTook, "time": tallyman.FieldTook, "hash": tallyman.FieldSHA256,
	"server": tallyman.FieldHost, "type": tallyman.FieldKind, "direction": tallyman.FieldOp, "method": tallyman.FieldOp, "class": tallyman.FieldToClass,
}

// choice is a word that may be asked for, and the words of the record that it means.
type choice struct {
	word  string
	means []string
}

func plainChoices(list ...string) []choice {
	out := make([]choice, len(list))
	for i, s := range list {
		out[i] = choice{s, []string{s}}
	}
	return out
}

func verdicts() []choice {
	var out []choice
	for _, v := range tallyman.Verdicts() {
		out = append(out, plainChoices(v.String())...)
	}
	return out
}

func reasons() []choice {
	var out []choice
	for _, r := range tallyman.Reasons() {
		out = append(out, plainChoices(string(r))...)
	}
	return out
}

func ops() []choice {
	var out []choice
	means := map[string][]string{}
	for o := tallyman.OpGet; o <= tallyman.OpRead; o++ {
		out = append(out, plainChoices(o.String())...)
		means[o.Direction()] = append(means[o.Direction()], o.String())
	}
	return append(out, choice{"upload", means["upload"]}, choice{"download", means["download"]})
}

func outcomes() []choice { return plainChoices("success", "failure", "unknown") }

// protos is the list of design section 3.
func protos() []choice { return plainChoices("tftp", "ftp", "ftps", "sftp", "local") }

// classes is the list of design section 3.
func classes() []choice { return plainChoices("local", "removable", "network", "cloud") }

// kinds is the list of design section 3: the records, and the events by their own kind.
func kinds() []choice {
	return plainChoices(kindTransfer, "gap", "finding", "mount", "unmount", "flow", "login", "login-failed", "command-refused", "order")
}

const (
	kindTransfer = "transfer"
	yes          = "yes"
	no           = "no"
)

func answers() []choice {
	return append(plainChoices(yes, no), choice{"true", []string{yes}}, choice{"false", []string{no}})
}

// words reads words of a closed list.
func words(what string, list func() []choice) func(*parser, tallyman.Term, word) (tallyman.Expr, error) {
	return func(p *parser, t tallyman.Term, w word) (tallyman.Expr, error) {
		var all tallyman.Or
		seen := map[string]bool{}
		for part := range strings.SplitSeq(w.pattern, ",") {
			found := false
			for _, c := range list() {
				if !fits(lower(part), c.word) {
					continue
				}
				found = true
				for _, m := range c.means {
					if t.Text = m; !seen[m] {
						seen[m] = true
						all = append(all, t)
					}
				}
			}
			if !found {
				return nil, p.noSuchWord(what, part, w, list())
			}
		}
		return oneOr(all), nil
	}
}

func (p *parser) noSuchWord(what, part string, w word, list []choice) error {
	known := make([]string, len(list))
	for i, c := range list {
		known[i] = c.word
	}
	says := nearest(part, known)
	if says == "" || len(known) <= 10 {
		says += " There are " + strings.Join(known, " ")
	}
	return p.fail(w.pos, w.end, `"%s" is no %s:%s`, tallyman.Escape(part), what, says)
}

func parseText(_ *parser, t tallyman.Term, w word) (tallyman.Expr, error) { return w.text(t), nil }

func parseClient(p *parser, t tallyman.Term, w word) (tallyman.Expr, error) {
	net, ok := network(w.plain)
	if !ok {
		return nil, p.fail(w.pos, w.end, `"%s" is no address and no network: write 10.20.0.5, 10.20.0.0/16, 10.20.* or 2001:db8::/32`, tallyman.Escape(w.plain))
	}
	t.Net = net
	return t, nil
}

// network reads an address, a network, or the first numbers of an IPv4 address and a star.
func network(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	if n, err := netip.ParsePrefix(s); err == nil {
		if n.Addr().Is4In6() {
			if n.Bits() < 96 {
				return netip.Prefix{}, false
			}
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		return n.Masked(), true
	}
	first, ok := strings.CutSuffix(s, ".*")
	if n := strings.Count(first, "."); ok && n <= 2 {
		if a, err := netip.ParseAddr(first + strings.Repeat(".0", 3-n)); err == nil && a.Is4() {
			return netip.PrefixFrom(a, 8*(n+1)).Masked(), true
		}
	}
	return netip.Prefix{}, false
}

// bareAddress reads a word without a field that is a whole address or network.
func (p *parser) bareAddress() (tallyman.Expr, bool) {
	end := p.at
	for end < len(p.text) && !isSpace(p.text[end]) && p.text[end] != '(' && p.text[end] != ')' {
		end++
	}
	s := p.text[p.at:end]
	net, ok := network(s)
	if !ok || strings.HasSuffix(s, "*") {
		return nil, false
	}
	t := tallyman.Term{Field: tallyman.FieldClient, Net: net, Pos: p.at}
	p.at = end
	if strings.Contains(s, "/") {
		return t, true
	}
	return tallyman.Or{t, tallyman.Term{Field: tallyman.FieldFile, Cmp: tallyman.Match, Text: "*" + s + "*", Pos: t.Pos}}, true
}

func parseSHA256(p *parser, t tallyman.Term, w word) (tallyman.Expr, error) {
	digits := strings.TrimSuffix(strings.TrimPrefix(lower(w.plain), "sha256:"), "*")
	if digits == "" || len(digits) > 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return nil, p.fail(w.pos, w.end, `"%s" is no SHA-256: write its 64 hexadecimal digits, or the first of them`, tallyman.Escape(w.plain))
	}
	t.Text = digits
	if len(digits) < 64 {
		t.Cmp, t.Text = tallyman.Match, digits+"*"
	}
	return t, nil
}
