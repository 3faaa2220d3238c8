package tallyman

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// timeForm is RFC 3339 in UTC with microseconds (design section 3).
const timeForm = "2006-01-02T15:04:05.000000Z"

// stamp is a time as records write it. The zero time is absent.
type stamp time.Time

func (s stamp) MarshalText() ([]byte, error) {
	return time.Time(s).UTC().AppendFormat(nil, timeForm), nil
}

func (s *stamp) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return err
	}
	*s = stamp(Clean(t))
	return nil
}

func at(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	return (*stamp)(&t)
}

func (s *stamp) time() time.Time {
	if s == nil {
		return time.Time{}
	}
	return time.Time(*s)
}

type party struct {
	IP       string `json:"ip,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Software string `json:"software,omitempty"`
}

func partyOf(a netip.AddrPort, software string) *party {
	if !a.IsValid() && software == "" {
		return nil
	}
	p := &party{Software: software, Port: a.Port()}
	if a.IsValid() {
		p.IP = a.Addr().String()
	}
	return p
}

func (p *party) addr() (netip.AddrPort, error) {
	if p == nil || p.IP == "" {
		return netip.AddrPort{}, nil
	}
	ip, err := netip.ParseAddr(p.IP)
	return netip.AddrPortFrom(ip, p.Port), err
}

func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func number(p *int64) int64 {
	if p == nil {
		return -1
	}
	return *p
}

// facts returns details as a value of JSON. What is none, a fault of a witness, is shown as text: one bad record must not spoil a whole answer.
func facts(details string) json.RawMessage {
	if details == "" || json.Valid([]byte(details)) {
		return json.RawMessage(details)
	}
	text, err := json.Marshal(Escape(details))
	if err != nil {
		return nil
	}
	return text
}

// rawIfEscaped returns the base64 of a name whose escaped form differs from it.
func rawIfEscaped(name string) string {
	if Escape(name) == name {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(name))
}

func unescape(shown, raw string) (string, error) {
	if raw == "" {
		return shown, nil
	}
	b, err := base64.StdEncoding.DecodeString(raw)
	return string(b), err
}

// transferJSON is the record as JSON shows it; its fields are those of design section 3, in that order.
type transferJSON struct {
	ID       UUID            `json:"id"`
	Rev      uint32          `json:"rev"`
	Merged   *UUID           `json:"merged,omitempty"`
	Host     string          `json:"host,omitempty"`
	Proto    string          `json:"proto,omitempty"`
	Op       Op              `json:"op,omitempty"`
	Start    *stamp          `json:"start,omitempty"`
	End      *stamp          `json:"end,omitempty"`
	Seen     *stamp          `json:"seen,omitempty"`
	Took     json.RawMessage `json:"took_ms,omitempty"`
	Client   *party          `json:"client,omitempty"`
	Server   *party          `json:"server,omitempty"`
	User     string          `json:"user,omitempty"`
	PID      int32           `json:"pid,omitempty"`
	PIDStart int64           `json:"pid_start,omitempty"`
	Exe      string          `json:"exe,omitempty"`
	WhoWhy   string          `json:"who_why,omitempty"`
	Login    string          `json:"login,omitempty"`
	Session  string          `json:"session,omitempty"`
	File     string          `json:"file,omitempty"`
	FileRaw  string          `json:"file_raw,omitempty"`
	Path     string          `json:"path,omitempty"`
	PathRaw  string          `json:"path_raw,omitempty"`
	NewPath  string          `json:"new_path,omitempty"`
	NewRaw   string          `json:"new_path_raw,omitempty"`
	ToClass  string          `json:"to_class,omitempty"`
	Device   string          `json:"device,omitempty"`
	Expected *int64          `json:"expected,omitempty"`
	Bytes    *int64          `json:"bytes,omitempty"`
	SHA256   string          `json:"sha256,omitempty"`
	MD5      string          `json:"md5,omitempty"`
	Content  Content         `json:"content,omitempty"`
	Verdict  Verdict         `json:"verdict,omitempty"`
	Reason   Reason          `json:"reason,omitempty"`
	Outcome  string          `json:"outcome,omitempty"`
	For      []string        `json:"witnesses,omitempty"`
	Against  []string        `json:"against,omitempty"`
	Details  json.RawMessage `json:"details,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	Evidence []evidenceJSON  `json:"evidence,omitempty"`
}

// MarshalJSON writes the fields of design section 3. What is unknown is absent.
func (t *Transfer) MarshalJSON() ([]byte, error) {
	j := transferJSON{
		ID: t.ID, Rev: t.Rev, Host: t.Host, Proto: t.Proto, Op: t.Op,
		Start: at(t.Start), End: at(t.End), Seen: at(t.Seen),
		Client: partyOf(t.Client, ""), Server: partyOf(t.Server, t.Software),
		User: t.User, PID: t.Proc.PID, PIDStart: t.Proc.Start, Exe: t.Exe, WhoWhy: t.WhoWhy, Login: t.Login, Session: t.Session,
		File: Escape(t.Name), FileRaw: rawIfEscaped(t.Name), Path: Escape(t.Path), PathRaw: rawIfEscaped(t.Path),
		NewPath: Escape(t.NewPath), NewRaw: rawIfEscaped(t.NewPath), ToClass: t.ToClass, Device: t.Device,
		Expected: known(t.Expected), Bytes: known(t.Bytes), Content: t.Content,
		Verdict: t.Judgement.Verdict, Reason: t.Judgement.Reason, Outcome: t.Judgement.Outcome(),
		For: t.Judgement.For, Against: t.Judgement.Against, Details: facts(t.Details), Tags: t.Tags,
	}
	if !t.Merged.IsZero() {
		j.Merged = &t.Merged
	}
	if took, ok := t.Took(); ok {
		j.Took = fmt.Appendf(nil, "%.3f", float64(took.Microseconds())/1000)
	}
	switch kind, hex, _ := strings.Cut(string(t.Digest), ":"); kind {
	case "sha256":
		j.SHA256 = hex
	case "md5":
		j.MD5 = hex
	}
	for i := range t.Evidence {
		j.Evidence = append(j.Evidence, evidenceToJSON(&t.Evidence[i]))
	}
	return json.Marshal(&j)
}

// UnmarshalJSON reads what MarshalJSON wrote. Evidence comes back as far as JSON shows it.
func (t *Transfer) UnmarshalJSON(b []byte) error {
	var j transferJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*t = Transfer{
		ID: j.ID, Rev: j.Rev, Host: j.Host, Proto: j.Proto, Op: j.Op,
		Start: j.Start.time(), End: j.End.time(), Seen: j.Seen.time(),
		User: j.User, Proc: Proc{j.PID, j.PIDStart}, Exe: j.Exe, WhoWhy: j.WhoWhy, Login: j.Login, Session: j.Session,
		ToClass: j.ToClass, Device: j.Device, Expected: number(j.Expected), Bytes: number(j.Bytes), Content: j.Content,
		Judgement: Judgement{j.Verdict, j.Reason, j.For, j.Against}, Details: string(j.Details), Tags: j.Tags,
	}
	if j.Merged != nil {
		t.Merged = *j.Merged
	}
	switch {
	case j.SHA256 != "":
		t.Digest = Digest("sha256:" + j.SHA256)
	case j.MD5 != "":
		t.Digest = Digest("md5:" + j.MD5)
	}
	var errs [5]error
	t.Client, errs[0] = j.Client.addr()
	t.Server, errs[1] = j.Server.addr()
	if j.Server != nil {
		t.Software = j.Server.Software
	}
	t.Name, errs[2] = unescape(j.File, j.FileRaw)
	t.Path, errs[3] = unescape(j.Path, j.PathRaw)
	t.NewPath, errs[4] = unescape(j.NewPath, j.NewRaw)
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("read record %s: %w", j.ID, err)
		}
	}
	for i := range j.Evidence {
		e, err := j.Evidence[i].evidence()
		if err != nil {
			return fmt.Errorf("read evidence of record %s: %w", j.ID, err)
		}
		t.Evidence = append(t.Evidence, e)
	}
	return nil
}
