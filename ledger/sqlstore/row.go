package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore/rollup"
	"tallyman/ledger/sqlstore/where"
)

// The bits of the column flags.
const (
	unnamed  = 1              // the file is a path: nobody asked for a name
	searched = where.Searched // a refusal that belongs to a boot search
	rooted   = 4              // the path is the root of the trait, then the name
)

// columns of the table transfer. The key comes last.
var columns = []string{
	"id", "rev", "merged", "start", "took", "seen", "host", "proto", "op", "verdict", "reason", "content", "flags",
	"client", "port", "server", "server_port", "file", "path", "new_path", "expected", "bytes", "digest",
	"trait", "login", "pid", "proc_start", "shape", "details", "pk",
}

// indexed are the columns that rarely change and cost an index a write when they do.
var indexed = []string{"start", "client", "file"}

// trait is what many transfers have in common.
type trait struct {
	user, whoWhy, exe, software, session, toClass, device, root, witnesses, against, tags, reason string
}

var traitColumns = []string{
	"sum", "user_name", "who_why", "exe", "software", "session", "to_class", "device", "root", "witnesses", "against", "tags", "reason",
}

func (t trait) columns() []any {
	h := sha256.New()
	args := make([]any, 1, len(traitColumns)+1)
	for _, s := range [...]string{
		t.user, t.whoWhy, t.exe, t.software, t.session, t.toClass, t.device, t.root, t.witnesses, t.against, t.tags, t.reason,
	} {
		h.Write([]byte(s))
		h.Write([]byte{0})
		args = append(args, []byte(s))
	}
	args[0] = h.Sum(nil)[:16]
	return args
}

func joined(list []string) string { return strings.Join(list, "\n") }

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// settled brings a transfer into the form in which the ledger gives it back: times in UTC and microseconds, IPv4 addresses as such.
func settled(t *tallyman.Transfer) tallyman.Transfer {
	c := *t
	c.Start, c.End, c.Seen = tallyman.Clean(t.Start), tallyman.Clean(t.End), tallyman.Clean(t.Seen)
	c.Client, c.Server = unmapped(t.Client), unmapped(t.Server)
	return c
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// micros is a time as rows hold it. The zero time has a number of its own, so that it comes back as zero.
func micros(t time.Time) int64 { return t.UnixMicro() }

func moment(us int64) time.Time { return time.UnixMicro(us).UTC() }

// keyOf is the first place at which a record may stand. 43 bits of milliseconds last until the year 2248; what comes after is found
// as well, but in the wrong order among records of one microsecond.
func keyOf(id tallyman.UUID) int64 {
	ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
	random := int64(id[6]&0x0f)<<16 | int64(id[7])<<8 | int64(id[8]&0x3f)<<2 | int64(id[9]>>6)
	return ms&(1<<43-1)<<20 | random
}

// keyAt is the least key of records that were begun at the time or later.
func keyAt(at time.Time) int64 { return max(at.UnixMilli(), 0) << 20 }

// bind fills w.args with the columns of the transfer, all but the key, and returns what the roll-ups count of it.
func (w *writer) bind(ctx context.Context, t *tallyman.Transfer) (rollup.Entry, error) {
	n := rollup.Entry{
		Start: micros(t.Start), Op: t.Op, Verdict: t.Judgement.Verdict, Merged: !t.Merged.IsZero(), Search: isSearch(t.Details), Bytes: max(t.Bytes, 0),
	}
	var flags int64
	var tr trait
	var path, digest any
	shown := t.Name
	switch {
	case t.Name == "":
		flags |= unnamed
		shown = t.Path
	case t.Path == "":
	default:
		root, ok := strings.CutSuffix(t.Path, t.Name)
		if ok && (strings.HasSuffix(root, "/") || strings.HasPrefix(t.Name, "/")) {
			flags |= rooted
			tr.root = root
		} else {
			path = []byte(t.Path)
		}
	}
	if n.Search {
		flags |= searched
	}
	tr.user, tr.whoWhy, tr.exe, tr.software, tr.session = t.User, t.WhoWhy, t.Exe, t.Software, t.Session
	tr.toClass, tr.device = t.ToClass, t.Device
	tr.witnesses, tr.against, tr.tags = joined(t.Judgement.For), joined(t.Judgement.Against), joined(t.Tags)
	reason := w.reasons[t.Judgement.Reason] // 0 for no reason, and for one that is not in the list
	if reason == 0 {
		tr.reason = string(t.Judgement.Reason)
	}
	if t.Digest != "" {
		digest = digestBytes(t.Digest)
	}
	ids, err := w.dims.resolve(ctx, t, shown, tr)
	if err != nil {
		return rollup.Entry{}, err
	}
	n.Host, n.Proto, n.Client, n.File = ids.host, ids.proto, ids.client, ids.file
	shape, details, err := w.dims.details(ctx, t.Details)
	if err != nil {
		return rollup.Entry{}, err
	}
	w.args = append(w.args[:0], t.ID[:], int64(t.Rev), mergedBytes(t.Merged), n.Start, took(t), micros(t.Seen), n.Host, n.Proto,
		int64(t.Op), int64(n.Verdict), reason, int64(t.Content), flags, n.Client, int64(t.Client.Port()), ids.server, int64(t.Server.Port()),
		n.File, path, orNull(t.NewPath), known(t.Expected), known(t.Bytes), digest,
		ids.trait, orNull(t.Login), int64(t.Proc.PID), t.Proc.Start, shape, details)
	return n, nil
}

func mergedBytes(id tallyman.UUID) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

func took(t *tallyman.Transfer) any {
	if t.End.IsZero() {
		return nil
	}
	return micros(t.End) - micros(t.Start)
}

func known(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return []byte(s)
}

const sha256Prefix = "sha256:"

// digestBytes stores a SHA-256 in 32 bytes, and any other digest as text after zero bytes: one, or two where one would make 32.
func digestBytes(d tallyman.Digest) []byte {
	if h, ok := strings.CutPrefix(string(d), sha256Prefix); ok && len(h) == 64 && strings.ToLower(h) == h {
		if b, err := hex.DecodeString(h); err == nil {
			return b
		}
	}
	if len(d) == 31 {
		return append([]byte{0, 0}, d...)
	}
	return append([]byte{0}, d...)
}

func digestOf(b []byte) tallyman.Digest {
	switch {
	case len(b) == 0:
		return ""
	case len(b) == 32:
		return tallyman.Digest(sha256Prefix + hex.EncodeToString(b))
	default:
		return tallyman.Digest(bytes.TrimLeft(b, "\x00"))
	}
}

// isSearch reports whether the protocol facts say that the refusal belongs to a boot search. Only the outermost object counts: names further inside
// come from the network.
func isSearch(details string) bool {
	if !strings.Contains(details, `"search"`) {
		return false
	}
	var facts struct {
		Search json.RawMessage `json:"search"`
	}
	err := json.Unmarshal([]byte(details), &facts)
	return err == nil && len(facts.Search) > 0
}
