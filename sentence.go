package tallyman

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// phrase is what a reason means to a person. Remedy is empty where none is known; PATH and FILE in it stand for those of the record.
type phrase struct {
	because string
	remedy  string
}

// phrases has one entry for each reason of the closed list.
var phrases = map[Reason]phrase{
	FinalAck:          {"the client acknowledged the last block", ""},
	Stored:            {"the file was synced, in place and recorded before the last acknowledgement left", ""},
	ReplyAcknowledged: {"the client acknowledged the final reply and its control connection lived on", ""},
	CloseNotify:       {"the data connection ended with an authenticated close", ""},
	ClosedWell:        {"the file was closed without a hole", ""},
	SameContent:       {"original and copy have the same digest", ""},
	SizeProbe:         {"the client asked for size or options only and wanted no content", ""},

	NotFound:    {"no such file", ""},
	NotReadable: {"the file is not readable by others", "chmod o+r PATH"},
	NotWritable: {"the folder may not be written", "check owner and mode of the folder, and that the file system is not mounted read-only"},
	RemapDenied: {"a mapping rule of the server denies the name", ""},
	Exists:      {"a file of that name is there and may not be replaced", "choose another name, or set serve.tftp.write to keep"},
	BadRequest:  {"the request was malformed", ""},
	NotAllowed:  {"the client is not in the list of those who may ask", "add its network to serve.tftp.allow"},
	LoginFailed: {"the login failed", ""},
	Policy:      {"the configuration forbids it", ""},
	Quota:       {"the file is larger than is allowed", "raise serve.tftp.max_size"},
	RateLimited: {"too many requests were under way", ""},

	ClientAbort: {"the client gave up", ""},
	ClientError: {"the client sent an error", ""},
	Kicked:      {"an operator ended it", ""},
	Shutdown:    {"the server was stopped while it ran", ""},

	ClientSilent:     {"the client fell silent", ""},
	ClientGone:       {"the client's port was closed", ""},
	ServerGone:       {"the server died while it ran", ""},
	ServerError:      {"the server failed", ""},
	ControlLost:      {"the control connection was lost", ""},
	NoCloseNotify:    {"the encrypted data connection ended without an authenticated close: the content may be cut", ""},
	DiskFull:         {"the disk is full, or less than min_free would be left", "free space on the disk, or lower serve.tftp.min_free"},
	IOError:          {"the disk reported an error", "read the kernel log and check the disk"},
	Truncated:        {"fewer bytes came than were announced", ""},
	Hole:             {"a range of the file was never written", ""},
	Timeout:          {"it took too long", ""},
	DroppedLocked:    {"the server dropped the request because the file was locked", ""},
	DataPeerMismatch: {"somebody else connected to the data port", ""},
	Bounce:           {"the client named a third party's address", ""},

	DeliveredUnconfirmed: {"all was sent, but the acknowledgement of the last block never came", ""},
	ReplyUnacknowledged:  {"the final reply was never acknowledged", ""},
	PartialRead:          {"only part of the file was read", ""},
	LogOnly:              {"only the server's own log says so", ""},
	ClosedUnproven:       {"it ended, and nothing says how", ""},
	InGap:                {"a witness could not see while it ran", ""},

	StoredShort:     {"the file on disk is shorter than what was sent", ""},
	AnnouncedSize:   {"more bytes came than the client had announced", ""},
	HashMismatch:    {"two witnesses saw different contents", ""},
	OutcomeMismatch: {"the witnesses disagree about the end", ""},
}

// Because puts the reason into words, without a full stop.
func (r Reason) Because() string { return phrases[r].because }

// Sentence puts the verdict into words for a person. It ends with a remedy where one is known.
func (t *Transfer) Sentence() string {
	if !t.Op.HasVerdict() {
		return t.deed()
	}
	var b strings.Builder
	b.WriteString(t.subject())
	r := t.Judgement.Reason
	switch t.Judgement.Verdict {
	case NoVerdict: // not judged yet
	case Active:
		b.WriteString(", and it still runs")
	case Complete:
		b.WriteString(" whole")
	case Failed:
		b.WriteString(", and it failed")
	case Aborted:
		b.WriteString(", and it was broken off")
	case Refused:
		b.WriteString(" and was refused")
	case Probe:
		b.WriteString(" and asked for its size only")
	case Unproven:
		if t.Probably() != "" {
			b.WriteString(", and it is probably " + t.Probably() + ", but not proven")
		} else {
			b.WriteString(", but it is not proven that it arrived")
		}
	case Contradicted:
		b.WriteString(", and the witnesses contradict each other")
	}
	if t.Bytes >= 0 && t.Judgement.Verdict != Refused && t.Judgement.Verdict != Probe {
		b.WriteString(" (" + Count(t.Bytes))
		if t.Expected > 0 && t.Expected != t.Bytes {
			b.WriteString(" of " + Count(t.Expected))
		}
		b.WriteString(" bytes")
		if took, ok := t.Took(); ok && took > 0 { // a log may write whole seconds
			b.WriteString(" in " + rounded(took))
		}
		b.WriteString(")")
	}
	why := r.Because()
	if by := t.Judgement.For; r == Stored && len(by) > 0 && !slices.Contains(by, "server") {
		why = "the last block was acknowledged, and the file was as long as what came when it was closed" // nobody saw it synced
	}
	if t.Probably() != "" {
		why = "log and files agree, and what the packets would prove is missing"
	}
	if why != "" && t.Judgement.Verdict != Probe {
		b.WriteString(": " + why)
	}
	if said := t.said(); said != "" {
		b.WriteString(" (" + said + ")")
	}
	b.WriteString(".")
	b.WriteString(t.remark())
	if remedy := t.Remedy(); remedy != "" {
		b.WriteString(" Remedy: " + remedy + ".")
	}
	return b.String()
}

// Probably says what a transfer without proof most likely was: "whole" where log and files agree and the packets alone are missing (design section 4),
// else "". The verdict stays unproven.
func (t *Transfer) Probably() string {
	if t.Judgement.Verdict == Unproven && strings.Contains(t.Details, `"probably":"whole"`) {
		return "whole"
	}
	return ""
}

// remark says what the details say besides: that the record is one of several that could not be told apart, and that the client may come again.
func (t *Transfer) remark() string {
	var d struct {
		OneOf int    `json:"one_of"`
		Note  string `json:"note"`
	}
	if json.Unmarshal([]byte(t.Details), &d) != nil {
		return ""
	}
	out := ""
	if d.OneOf > 1 {
		out = " It is one of " + Count(int64(d.OneOf)) + " of this client and name at once: which line and file belong to which of them is not known, and nothing is concluded from that."
	}
	if d.Note == "client-may-retry" {
		out += " The client may not have got the last acknowledgement, and may send the file again."
	}
	return out
}

// Remedy says what to do about the reason, or "" where nothing is known.
func (t *Transfer) Remedy() string {
	path := t.Path
	if path == "" {
		path = t.Name
	}
	return strings.ReplaceAll(phrases[t.Judgement.Reason].remedy, "PATH", Escape(path))
}

// Missing names the evidence that would have proven more; nil when nothing is missing.
func (t *Transfer) Missing() []string {
	switch t.Judgement.Reason {
	case DeliveredUnconfirmed:
		return []string{"the client's acknowledgement of the last block"}
	case ReplyUnacknowledged:
		return []string{"the client's acknowledgement of the final reply"}
	case LogOnly:
		return []string{"a second witness: packets, or the files themselves"}
	case ClosedUnproven:
		return []string{"proof of how the transfer ended"}
	case InGap:
		return []string{"what happened while the witness could not see"}
	case PartialRead:
		return []string{"the rest of the content"}
	default: // the verdict stands on all that there is to see
		if t.Judgement.Verdict == Active {
			return []string{"its end"}
		}
		return nil
	}
}

func (t *Transfer) subject() string {
	who := "Somebody"
	if t.Client.IsValid() {
		who = t.Client.Addr().String()
	}
	file := "“" + t.File() + "”"
	begun := t.Judgement.Verdict != Refused && t.Judgement.Verdict != Probe
	switch t.Op {
	case OpGet:
		if begun {
			return who + " fetched " + file
		}
		return who + " asked for " + file
	case OpPut, OpAppend:
		if begun {
			return who + " sent " + file
		}
		return who + " wanted to send " + file
	case OpList:
		if begun {
			return who + " listed " + file
		}
		return who + " wanted to list " + file
	default:
		return who + ": " + t.Op.String() + " " + file
	}
}

// said returns the words in which a witness named the error.
func (t *Transfer) said() string {
	for i := len(t.Evidence) - 1; i >= 0; i-- {
		if e := &t.Evidence[i]; e.Err != "" && e.Reason == t.Judgement.Reason {
			return Escape(e.Err)
		}
	}
	return ""
}

func rounded(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(10 * time.Microsecond).String()
	}
}
