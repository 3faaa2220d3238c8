package tallyman

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// evidenceJSON is one line of the list that show and why give: what a witness said, for people, and what it counted.
type evidenceJSON struct {
	At       *stamp          `json:"at,omitempty"`
	Seen     *stamp          `json:"seen,omitempty"`
	Began    *stamp          `json:"began,omitempty"`
	Seq      uint64          `json:"seq,omitempty"`
	Host     string          `json:"host,omitempty"`
	Witness  string          `json:"witness"`
	Kind     Kind            `json:"kind"`
	Says     string          `json:"says"`
	Proto    string          `json:"proto,omitempty"`
	Op       Op              `json:"op,omitempty"`
	Client   *party          `json:"client,omitempty"`
	Server   *party          `json:"server,omitempty"`
	User     string          `json:"user,omitempty"`
	PID      int32           `json:"pid,omitempty"`
	Name     string          `json:"name,omitempty"`
	Path     string          `json:"path,omitempty"`
	From     string          `json:"from,omitempty"`
	Size     *int64          `json:"size,omitempty"`
	Moved    *int64          `json:"moved,omitempty"`
	Expected *int64          `json:"expected,omitempty"`
	Digest   Digest          `json:"digest,omitempty"`
	Reason   Reason          `json:"reason,omitempty"`
	Error    string          `json:"error,omitempty"`
	Details  json.RawMessage `json:"details,omitempty"`
	Raw      string          `json:"raw,omitempty"`
}

func evidenceToJSON(e *Evidence) evidenceJSON {
	return evidenceJSON{
		At: at(e.Time), Seen: at(e.Seen), Began: at(e.Began), Seq: e.ID.Seq, Host: e.Host, Witness: e.Witness, Kind: e.Kind, Says: e.Says(),
		Proto: e.Proto, Op: e.Op, Client: partyOf(e.Peer, ""), Server: partyOf(e.Self, ""), User: Escape(e.User), PID: e.Proc.PID,
		Name: Escape(e.Name), Path: Escape(e.Path), From: Escape(e.From),
		Size: known(e.Size), Moved: known(e.Moved), Expected: known(e.Expected), Digest: e.Digest, Reason: e.Reason,
		Error: Escape(e.Err), Details: facts(e.Details), Raw: Escape(e.Raw),
	}
}

func (j *evidenceJSON) evidence() (Evidence, error) {
	peer, err := j.Client.addr()
	if err != nil {
		return Evidence{}, err
	}
	self, err := j.Server.addr()
	if err != nil {
		return Evidence{}, err
	}
	return Evidence{
		ID: ID{Seq: j.Seq}, Time: j.At.time(), Seen: j.Seen.time(), Began: j.Began.time(), Host: j.Host, Witness: j.Witness, Kind: j.Kind,
		Proto: j.Proto, Op: j.Op, Peer: peer, Self: self, User: j.User, Proc: Proc{PID: j.PID}, Name: j.Name, Path: j.Path, From: j.From,
		Size: number(j.Size), Moved: number(j.Moved), Expected: number(j.Expected), Digest: j.Digest, Reason: j.Reason,
		Err: j.Error, Details: string(j.Details), Raw: j.Raw,
	}, nil
}

// MarshalJSON writes one line of the list of evidence.
func (e *Evidence) MarshalJSON() ([]byte, error) { return json.Marshal(evidenceToJSON(e)) }

// recordJSON holds the fields of events, gaps and findings (design section 3).
type recordJSON struct {
	ID       UUID   `json:"id"`
	Kind     string `json:"kind"`
	At       *stamp `json:"at,omitempty"`
	Host     string `json:"host,omitempty"`
	Witness  string `json:"witness,omitempty"`
	From     *stamp `json:"from,omitempty"`
	To       *stamp `json:"to,omitempty"`
	Lost     *int64 `json:"lost,omitempty"`
	Client   *party `json:"client,omitempty"`
	Server   *party `json:"server,omitempty"`
	User     string `json:"user,omitempty"`
	PID      int32  `json:"pid,omitempty"`
	Exe      string `json:"exe,omitempty"`
	Path     string `json:"path,omitempty"`
	ToClass  string `json:"to_class,omitempty"`
	Device   string `json:"device,omitempty"`
	Login    string `json:"login,omitempty"`
	Session  string `json:"session,omitempty"`
	Text     string `json:"text,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Severity string `json:"severity,omitempty"`
	About    []UUID `json:"about,omitempty"`
	Key      string `json:"key,omitempty"`
	Why      string `json:"why,omitempty"`
}

// MarshalJSON writes the event; its kind is the event's own.
func (e *Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(&recordJSON{
		ID: e.ID, Kind: e.Kind, At: at(e.At), Host: e.Host, Witness: e.Witness, Client: partyOf(e.Client, ""), Server: partyOf(e.Server, ""),
		User: e.User, PID: e.Proc.PID, Exe: e.Exe, Path: Escape(e.Path), ToClass: e.ToClass, Device: e.Device,
		Login: e.Login, Session: e.Session, Text: Escape(e.Text),
	})
}

// MarshalJSON writes the gap; its kind is "gap".
func (g *Gap) MarshalJSON() ([]byte, error) {
	return json.Marshal(&recordJSON{
		ID: g.ID, Kind: "gap", At: at(g.To), Host: g.Host, Witness: g.Witness, From: at(g.From), To: at(g.To), Lost: known(g.Lost), Why: Escape(g.Why),
	})
}

// MarshalJSON writes the finding; its kind is "finding".
func (f *Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(&recordJSON{
		ID: f.ID, Kind: "finding", At: at(f.At), Rule: f.Rule, Severity: f.Severity.String(), About: f.About, Key: Escape(f.Key), Why: Escape(f.Why),
	})
}

// UnmarshalRecord reads one JSON line of any record: a transfer has no kind, the others say theirs.
func UnmarshalRecord(line []byte) (Record, error) {
	var j recordJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return nil, err
	}
	switch j.Kind {
	case "":
		t := new(Transfer)
		return t, json.Unmarshal(line, t)
	case "gap":
		return &Gap{ID: j.ID, Host: j.Host, Witness: j.Witness, From: j.From.time(), To: j.To.time(), Lost: number(j.Lost), Why: j.Why}, nil
	case "finding":
		f := &Finding{ID: j.ID, At: j.At.time(), Rule: j.Rule, About: j.About, Key: j.Key, Why: j.Why}
		return f, f.Severity.UnmarshalText([]byte(j.Severity))
	}
	e := &Event{
		ID: j.ID, At: j.At.time(), Host: j.Host, Witness: j.Witness, Kind: j.Kind, User: j.User, Proc: Proc{PID: j.PID}, Exe: j.Exe,
		Path: j.Path, ToClass: j.ToClass, Device: j.Device, Login: j.Login, Session: j.Session, Text: j.Text,
	}
	var err error
	if e.Client, err = j.Client.addr(); err != nil {
		return nil, err
	}
	e.Server, err = j.Server.addr()
	return e, err
}

// Says puts the evidence into words: what the witness saw, without a judgement.
func (e *Evidence) Says() string {
	var b strings.Builder
	switch e.Kind {
	case KindRequest:
		b.WriteString("asked: " + strings.TrimSpace(e.Op.String()+" "+named(e.Name)))
		if e.Expected >= 0 {
			b.WriteString(", " + Count(e.Expected) + " bytes announced")
		}
	case KindRefusal:
		b.WriteString("refused " + e.Op.String() + " " + quoted(e.Name) + ": " + string(e.Reason))
	case KindRenamed:
		b.WriteString("renamed " + quoted(e.From) + " to " + quoted(e.Path))
	case KindDeleted:
		b.WriteString("deleted " + quoted(e.Path))
	case KindOpened:
		switch {
		case e.Witness == "files":
			b.WriteString("opened " + quoted(e.Path))
		case e.Witness == "server" && (e.Op == OpPut || e.Op == OpAppend):
			b.WriteString("receiving under a temporary name for " + quoted(e.Path))
		default:
			b.WriteString("opened " + named(cmp.Or(e.Path, e.Name)))
		}
		if e.Size >= 0 {
			b.WriteString(", " + Count(e.Size) + " bytes on disk")
		}
	case KindProgress:
		if e.Moved >= 0 {
			b.WriteString(Count(e.Moved) + " bytes so far")
		} else {
			b.WriteString("runs")
		}
	case KindClosed:
		if e.Witness == "files" {
			b.WriteString("closed " + quoted(e.Path))
			if e.Size >= 0 {
				b.WriteString(", " + Count(e.Size) + " bytes on disk")
			}
			break
		}
		b.WriteString("ended: " + string(e.Reason))
		if e.Moved >= 0 {
			b.WriteString(", " + Count(e.Moved) + " bytes confirmed")
		}
		if e.Digest != "" {
			b.WriteString(", " + short(e.Digest))
		}
	case KindDigested:
		b.WriteString("digest " + short(e.Digest))
	case KindGap:
		b.WriteString("could not see")
		if !e.Began.IsZero() {
			b.WriteString(" for " + e.Time.Sub(e.Began).Round(time.Millisecond).String())
		}
		if e.Moved >= 0 {
			b.WriteString(", " + Count(e.Moved) + " lost")
		}
	default:
		b.WriteString(e.Kind.String())
	}
	if e.Err != "" {
		b.WriteString(" (" + Escape(e.Err) + ")")
	}
	return b.String()
}

// named is a name that may not be known: packets behind TLS name nothing, and a listing may be of no folder in particular.
func named(name string) string {
	if name == "" {
		return "something that is not named"
	}
	return quoted(name)
}

func quoted(name string) string { return "“" + Escape(name) + "”" }

func short(d Digest) string {
	if len(d) > 19 {
		return string(d[:19]) + "…"
	}
	return string(d)
}

// Count writes a number with a comma between thousands, as in 42,988.
func Count(n int64) string {
	if n < 0 {
		return "-" + Count(-n)
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	rest := strconv.FormatInt(n%1000, 10)
	return Count(n/1000) + "," + "000"[:3-len(rest)] + rest
}
