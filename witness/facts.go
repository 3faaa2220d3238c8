package witness

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tallyman"
)

// said are the protocol facts of all witnesses, as far as they are summed up here; what is not there is 0.
type said struct {
	Asked, Granted                                                      map[string]json.RawMessage
	Mode, Format, Comm, Exe, User, Close, Command, Compared, Data, TLS  string
	FirstPacket, LastPacket                                             time.Time
	DataMode                                                            string
	Packets, DataPackets, Blocks, BlocksAcked, Blksize, Window, Offset  int64
	Retransmits, Duplicates, Requests, Strangers, MissingBytes, Repeats int64
	WireBytesUp, WireBytesDown                                          int64
	Accessed, Modified, Created, Truncated, Deleted                     bool
	HeadersOnly, Late, Assumed                                          bool
	Replies                                                             []int
}

// UnmarshalJSON reads the keys as they are written: words with underscores.
func (s *said) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for key, to := range map[string]any{
		"asked": &s.Asked, "granted": &s.Granted, "mode": &s.Mode, "format": &s.Format, "comm": &s.Comm, "exe": &s.Exe, "user": &s.User, "close": &s.Close,
		"command": &s.Command, "compared": &s.Compared, "data": &s.Data, "tls": &s.TLS, "first_packet": &s.FirstPacket, "last_packet": &s.LastPacket, "data_mode": &s.DataMode,
		"packets": &s.Packets, "data_packets": &s.DataPackets, "blocks": &s.Blocks, "blocks_acked": &s.BlocksAcked, "blksize": &s.Blksize, "window": &s.Window,
		"offset": &s.Offset, "retransmits": &s.Retransmits, "duplicates": &s.Duplicates, "requests": &s.Requests, "strangers": &s.Strangers,
		"missing_bytes": &s.MissingBytes, "repeated_bytes": &s.Repeats, "wire_bytes_up": &s.WireBytesUp, "wire_bytes_down": &s.WireBytesDown,
		"accessed": &s.Accessed, "modified": &s.Modified, "created": &s.Created, "truncated": &s.Truncated, "deleted": &s.Deleted,
		"headers_only": &s.HeadersOnly, "late": &s.Late, "assumed": &s.Assumed, "replies": &s.Replies,
	} {
		if raw, ok := all[key]; ok && json.Unmarshal(raw, to) != nil {
			continue // another witness's word for something else: it is shown in its evidence
		}
	}
	return nil
}

// heard is the last evidence that has details, and these; the first of the evidence is when it began.
func heard(t *tallyman.Transfer) (last *tallyman.Evidence, s said) {
	for i := range t.Evidence {
		e := &t.Evidence[i]
		if last == nil || e.Details != "" {
			last = e
		}
		if e.Details != "" {
			s = said{}
			_ = json.Unmarshal([]byte(e.Details), &s) // details that are none are shown as they are
		}
	}
	return last, s
}

// list collects facts; empty ones are left away.
type list []tallyman.Fact

func (l *list) add(name string, parts ...string) {
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	if len(parts) > 0 {
		*l = append(*l, tallyman.Fact{Name: name, Text: strings.Join(parts, ", ")})
	}
}

// packets sums up what the wire saw.
func packets(t *tallyman.Transfer) []tallyman.Fact {
	var out list
	e, s := heard(t)
	began := e.Began
	if began.IsZero() {
		began = t.Start
	}
	if n := s.Packets; n > 0 {
		out.add("packets", many(n, "packet"), within(began, s.LastPacket, t.End))
	}
	if n := s.DataPackets; n > 0 {
		out.add("data", many(n, "packet")+" on "+tallyman.Escape(s.Data), s.DataMode, within(s.FirstPacket, s.LastPacket, time.Time{}))
	}
	if s.Blocks > 0 || s.BlocksAcked > 0 {
		blocks := tallyman.Count(s.Blocks) + " of " + tallyman.Count(s.Blksize) + " bytes sent"
		out.add("blocks", blocks, tallyman.Count(s.BlocksAcked)+" acknowledged", some(s.Window > 1, "window "+tallyman.Count(s.Window)))
	}
	out.add("options", prefixed("asked ", pairs(s.Asked)), prefixed("granted ", pairs(s.Granted)))
	out.add("again", counted(s.Retransmits, "retransmitted"), counted(s.Duplicates, "duplicate"), some(s.Requests > 1, "asked "+tallyman.Count(s.Requests)+" times"),
		some(s.Repeats > 0, tallyman.Count(s.Repeats)+" bytes repeated"), counted(s.Strangers, "from strangers"))
	if s.Packets > 0 && s.Retransmits == 0 && s.Duplicates == 0 && s.Requests <= 1 {
		out.add("again", "nothing was sent twice")
	}
	if t.Bytes >= 0 {
		out.add("bytes", tallyman.Count(t.Bytes)+" confirmed", some(s.HeadersOnly, "counted, not read: only headers are captured"))
	}
	if s.WireBytesUp > 0 || s.WireBytesDown > 0 {
		out.add("bytes", "encrypted: "+tallyman.Count(s.WireBytesUp)+" up, "+tallyman.Count(s.WireBytesDown)+" down at the most")
	}
	out.add("gaps", some(s.MissingBytes > 0, tallyman.Count(s.MissingBytes)+" bytes were not captured"), some(s.Late, "the beginning was not captured"))
	out.add("replies", replies(s.Replies))
	out.add("tls", tallyman.Escape(s.TLS))
	for i := range t.Evidence {
		if pid := t.Evidence[i].Proc.PID; pid != 0 {
			out.add("process", fmt.Sprintf("pid %d answered, as the kernel says", pid))
			break
		}
	}
	out.add("digest", string(t.Digest))
	return out
}

// onDisk sums up what the files say.
func onDisk(t *tallyman.Transfer) []tallyman.Fact {
	var out list
	e, s := heard(t)
	out.add("file", tallyman.Escape(cmp.Or(e.Path, e.Name)), prefixed("before ", tallyman.Escape(e.From)))
	if e.Proc.PID != 0 || s.Comm != "" {
		who := cmp.Or(tallyman.Escape(s.Comm), "a process")
		if e.Proc.PID != 0 {
			who += fmt.Sprintf("[%d]", e.Proc.PID)
		}
		out.add("process", who, prefixed("as ", tallyman.Escape(s.User)))
	} else {
		out.add("process", "not known")
	}
	did := []string{some(s.Created, "made"), some(s.Modified, "changed"), some(s.Accessed, "read"), some(s.Truncated, "emptied first"), some(s.Deleted, "deleted")}
	if e.Kind == tallyman.KindClosed {
		if !s.Modified && !s.Accessed {
			did = append(did, "neither read nor changed")
		}
		out.add("done", did...)
		if e.Size >= 0 {
			out.add("size at close", tallyman.Count(e.Size)+" bytes", prefixed("open for ", open(e)))
		}
	} else if e.Size >= 0 {
		out.add("size so far", tallyman.Count(e.Size)+" bytes")
	}
	digest := ""
	for i := range t.Evidence {
		digest = cmp.Or(string(t.Evidence[i].Digest), digest)
	}
	out.add("digest", cmp.Or(digest, "none: a watch opens no file"))
	return out
}

// lines sums up what the log says.
func lines(t *tallyman.Transfer) []tallyman.Fact {
	var out list
	n, users, pids := 0, []string{}, []string{}
	for i := range t.Evidence {
		e := &t.Evidence[i]
		if e.Raw != "" {
			n++
		}
		if u := tallyman.Escape(e.User); u != "" && !slices.Contains(users, u) {
			users = append(users, u)
		}
		if p := strconv.Itoa(int(e.Proc.PID)); e.Proc.PID != 0 && !slices.Contains(pids, p) {
			pids = append(pids, p)
		}
	}
	out.add("lines", many(int64(n), "line"), prefixed("written by ", writer(t)), prefixed("process ", strings.Join(pids, ", ")))
	out.add("user", users...)
	if _, s := heard(t); t.Bytes >= 0 {
		out.add("bytes", tallyman.Count(t.Bytes)+" claimed", some(s.Assumed, "the server writes the same of transfers that were cut"))
	}
	return out
}

// served sums up what our own server counted.
func served(t *tallyman.Transfer) []tallyman.Fact {
	var out list
	_, s := heard(t)
	out.add("options", prefixed("asked ", pairs(s.Asked)), prefixed("granted ", pairs(s.Granted)))
	out.add("again", counted(s.Retransmits, "retransmitted"), counted(s.Duplicates, "duplicate"))
	if t.Bytes >= 0 {
		out.add("bytes", tallyman.Count(t.Bytes)+" confirmed")
	}
	out.add("compared", prefixed("the client asked afterwards what is stored, by ", tallyman.Escape(s.Compared)))
	out.add("digest", string(t.Digest))
	return out
}

// writer is the server whose lines these are.
func writer(t *tallyman.Transfer) string {
	_, s := heard(t)
	return tallyman.Escape(s.Format)
}
