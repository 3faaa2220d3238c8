package corpus

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

// Names are file names that go wrong easily: broken UTF-8, control characters, and what SQL, LIKE and GLOB take for their own.
func Names() []string {
	return []string{
		"router-1-confg", "router-2-confg", "Router-1-confg", "router-1-confg.bak", "site/a/startup-config", "site/b/startup-config",
		"pxelinux.cfg/default", "pxelinux.cfg/01-aa-bb-cc-00-11-22", "100%", "100_", "1000", "a*b", "a?b", "a[b]c", "a]b", `a\b`, `a\*b`, "it's", `"quoted"`,
		"line\nbreak", "tab\there", "\x1b[31mred", "bad\xff\xfeutf8", "bad\xff", "\xff\x80", "\xff", "\x80", "caf\u00e9", "cafe\u0301", "\u202egnp.exe",
		"../escape", "/abs/olute", "x", "", " ", "'; DROP TABLE transfer; --", "ÄÖ", "äö", "\U0001f600.bin",
	}
}

var clients = []string{"10.20.0.5", "10.20.0.6", "10.20.1.5", "10.21.0.1", "192.168.7.7", "2001:db8::1", "2001:db8:0:1::2", "fe80::1%eth0", "fe80::1%eth1", "::1"}

// Day is the first of the days in which drawn transfers start.
var Day = time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)

// Drawer draws records of one agent.
type Drawer struct {
	Agent tallyman.Agent
	From  time.Time // the first day in which transfers start; zero means Day
	Days  int       // how many days; 0 means 4
	seq   uint64
}

// ID draws the ID of a new record.
func (d *Drawer) ID(t *rapid.T, at time.Time) tallyman.UUID {
	d.seq++
	id := tallyman.DrawUUID(at, tallyman.ID{Agent: d.Agent, Epoch: 1, Seq: d.seq})
	if rapid.IntRange(0, 9).Draw(t, "alike") == 0 {
		// Records of one millisecond that differ in their last bits only.
		at := uint64(Day.UnixMilli()) << 16
		binary.BigEndian.PutUint64(id[:8], at|0x7000)
		id[8], id[9] = 0x80, 0
		binary.BigEndian.PutUint32(id[12:], uint32(d.seq))
	}
	return id
}

// Transfer draws a first revision.
func (d *Drawer) Transfer(t *rapid.T) *tallyman.Transfer {
	days := d.Days
	if days == 0 {
		days = 4
	}
	from := d.From
	if from.IsZero() {
		from = Day
	}
	start := tallyman.Clean(from.Add(time.Duration(rapid.Int64Range(0, int64(days)*24*3600*4-1).Draw(t, "quarter")) * time.Second / 4))
	tr := &tallyman.Transfer{ID: d.ID(t, start), Rev: 1, Start: start, Expected: -1, Bytes: -1}
	d.judge(t, tr)
	return tr
}

// Amend draws the next revision of a transfer.
func (d *Drawer) Amend(t *rapid.T, old *tallyman.Transfer) *tallyman.Transfer {
	tr := *old
	tr.Rev += uint32(rapid.IntRange(1, 3).Draw(t, "rev"))
	if rapid.IntRange(0, 3).Draw(t, "earlier") == 0 {
		tr.Start = tr.Start.Add(-time.Duration(rapid.Int64Range(0, 7200).Draw(t, "seconds")) * time.Second)
	}
	d.judge(t, &tr)
	return &tr
}

func (d *Drawer) judge(t *rapid.T, tr *tallyman.Transfer) {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	tr.Host = pick("host", "alpha", "beta", "")
	tr.Proto = pick("proto", "tftp", "ftp", "sftp")
	tr.Op = rapid.SampledFrom([]tallyman.Op{
		tallyman.OpGet, tallyman.OpGet, tallyman.OpPut, tallyman.OpAppend, tallyman.OpCopy, tallyman.OpList, tallyman.OpDelete,
	}).Draw(t, "op")
	tr.Client, tr.Server = d.party(t, "client"), d.party(t, "server")
	tr.Software, tr.User, tr.WhoWhy = pick("software", "", "tftpd 5.2"), pick("user", "", "tally", "Tally", "ev*l\xffuser"), pick("why", "", "no login")
	tr.Proc = tallyman.Proc{PID: int32(rapid.IntRange(0, 3).Draw(t, "pid")), Start: rapid.Int64Range(0, 3).Draw(t, "ticks")}
	tr.Exe, tr.Login, tr.Session = pick("exe", "", "/usr/bin/x"), pick("login", "", "l1"), pick("session", "", "exam")
	tr.Name = rapid.SampledFrom(Names()).Draw(t, "name")
	tr.Path = pick("path", "", "/srv/"+tr.Name, "/srv"+tr.Name, "/elsewhere", tr.Name)
	tr.NewPath, tr.ToClass, tr.Device = pick("new", "", "/new/\xff"), pick("class", "", "removable"), pick("device", "", "usb:1")
	tr.Expected, tr.Bytes = rapid.Int64Range(-1, 3000).Draw(t, "expected"), rapid.Int64Range(-1, 3000).Draw(t, "bytes")
	tr.Tags = slices.Clone(rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b, c"}}).Draw(t, "tags"))
	tr.Details = pick("details", "", `{"blksize":1428}`, `{"retransmits":`+strconv.FormatUint(d.seq, 10)+`}`, `{"search":"pxelinux.cfg/default"}`,
		`{"options":{"search":"x"}}`, `{"text":"\"search\":"}`)
	tr.Content = rapid.SampledFrom([]tallyman.Content{tallyman.NoContent, tallyman.Full, tallyman.Partial}).Draw(t, "content")
	tr.Digest = tallyman.Digest(pick("digest", "", "sha256:"+hexOf(1), "sha256:"+hexOf(2), "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:short"))
	tr.Judgement = d.judgement(t, tr.Op)
	tr.End = time.Time{}
	if tr.Judgement.Verdict != tallyman.Active {
		tr.End = tr.Start.Add(time.Duration(rapid.Int64Range(0, 5e6).Draw(t, "took")) * time.Microsecond)
	}
	tr.Seen = tr.Start.Add(time.Duration(rapid.Int64Range(0, 200).Draw(t, "seen")) * time.Second)
	d.evidence(t, tr)
}

func hexOf(n byte) string {
	return fmt.Sprintf("%064x", []byte{0xab, n})[:62] + fmt.Sprintf("%02x", n)
}

func (d *Drawer) party(t *rapid.T, what string) netip.AddrPort {
	n := rapid.IntRange(-1, len(clients)-1).Draw(t, what)
	if n < 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.MustParseAddr(clients[n]), uint16(rapid.IntRange(0, 65535).Draw(t, "port")))
}

func (d *Drawer) judgement(t *rapid.T, op tallyman.Op) tallyman.Judgement {
	var j tallyman.Judgement
	if op.HasVerdict() || rapid.IntRange(0, 3).Draw(t, "runs") == 0 {
		j.Verdict = rapid.SampledFrom(tallyman.Verdicts()).Draw(t, "verdict")
	}
	if !op.HasVerdict() && j.Verdict != tallyman.Active {
		j.Verdict = tallyman.NoVerdict
	}
	if j.Verdict != tallyman.Active {
		legal := slices.DeleteFunc(tallyman.Reasons(), func(r tallyman.Reason) bool { return !tallyman.Legal(j.Verdict, r) })
		j.Reason = rapid.SampledFrom(legal).Draw(t, "reason")
	}
	j.For = slices.Clone(rapid.SampledFrom([][]string{nil, {"server"}, {"files", "server"}}).Draw(t, "for"))
	j.Against = slices.Clone(rapid.SampledFrom([][]string{nil, nil, {"log"}}).Draw(t, "against"))
	return j
}

// evidence draws what the witnesses said: some of it as the transfer has it, some of it not.
func (d *Drawer) evidence(t *rapid.T, tr *tallyman.Transfer) {
	tr.Evidence = nil
	for n := range rapid.IntRange(0, 3).Draw(t, "witnesses") {
		e := tallyman.Unknown()
		d.seq++
		e.ID = tallyman.ID{Agent: d.Agent, Epoch: 1, Seq: d.seq}
		e.Time, e.Seen, e.Began = tr.Start.Add(time.Duration(n)*time.Millisecond), tr.Seen, tr.Start
		e.Host, e.Witness, e.Proto, e.Op, e.Peer, e.Self = tr.Host, "server", tr.Proto, tr.Op, tr.Client, tr.Server
		e.Name, e.Path, e.Proc = tr.Name, tr.Path, tr.Proc
		e.Kind = tallyman.Kind(n + 1)
		if rapid.Bool().Draw(t, "closing") {
			e.Kind, e.Moved, e.Details, e.Digest, e.Reason = tallyman.KindClosed, tr.Bytes, tr.Details, tr.Digest, tr.Judgement.Reason
		}
		if rapid.Bool().Draw(t, "other") {
			e.Witness, e.Raw, e.Name, e.Size = "log", "a line\n", "other\xff", 7
			e.Time = e.Time.Add(-time.Hour)
		}
		tr.Evidence = append(tr.Evidence, e)
	}
}

// Event draws an event, a gap or a finding.
func (d *Drawer) Event(t *rapid.T) tallyman.Record {
	at := tallyman.Clean(Day.Add(time.Duration(rapid.Int64Range(0, 4*24*3600).Draw(t, "at")) * time.Second))
	host := rapid.SampledFrom([]string{"alpha", "beta"}).Draw(t, "host")
	text := rapid.SampledFrom(Names()).Draw(t, "text")
	switch rapid.IntRange(0, 2).Draw(t, "class") {
	case 0:
		return &tallyman.Event{
			ID: d.ID(t, at), At: at, Host: host, Witness: "mounts", Kind: rapid.SampledFrom([]string{"mount", "login"}).Draw(t, "kind"),
			Client: d.party(t, "client"), Server: d.party(t, "server"), User: "u\xff", Proc: tallyman.Proc{PID: 7, Start: 8}, Exe: "/bin/x", Path: text,
			ToClass: "removable", Device: "usb:1", Login: "l", Session: "s", Text: text,
		}
	case 1:
		return &tallyman.Gap{ID: d.ID(t, at), Host: host, Witness: "wire", From: at.Add(-time.Minute), To: at, Lost: rapid.Int64Range(-1, 9).Draw(t, "lost"), Why: text}
	default:
		return &tallyman.Finding{
			ID: d.ID(t, at), At: at, Rule: "critical-file", Severity: tallyman.High, About: []tallyman.UUID{d.ID(t, at), d.ID(t, at)}, Key: "k", Why: text,
		}
	}
}
