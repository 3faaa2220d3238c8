package tallyman

import "fmt"

// Kind says what sort of thing a witness saw.
type Kind uint8

// The kinds of evidence. A kind is stored by its number: new ones go to the end.
const (
	NoKind             Kind = iota
	KindRequest             // a party asked for a file
	KindRefusal             // the server said no; Reason says why
	KindOpened              // the file was opened, or the temporary file made: the transfer runs
	KindProgress            // it runs; Moved is the count so far
	KindClosed              // it ended; Reason says how
	KindDigested            // a digest of the content is known
	KindGap                 // from Began to Time the witness could not see; Moved is how many were lost (-1 unknown), Err says why
	KindOrder               // somebody told the program to do something: stop, reload, prune
	KindLogin               // somebody logged in
	KindLoginFailed         // somebody tried to
	KindCommandRefused      // a command that is no transfer was refused
	KindFlow                // a network session began
	KindRenamed             // the file got the name Path; From is the former one
	KindDeleted             // the name Path of the file was removed
	KindMounted             // something was mounted at Path, or a cloud client keeps it in step; Volume says what
	KindUnmounted           // that ended
)

var kindNames = [...]string{
	"", "request", "refusal", "opened", "progress", "closed", "digested", "gap", "order", "login", "login-failed", "command-refused", "flow", "renamed", "deleted",
	"mount", "unmount",
}

// Alone reports whether evidence of this kind stands alone: it becomes an Event and speaks of no transfer.
func (k Kind) Alone() bool {
	return k >= KindOrder && k <= KindFlow || k == KindMounted || k == KindUnmounted
}

// String returns the word that JSON and the page use.
func (k Kind) String() string { return word(kindNames[:], int(k)) }

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText accepts what MarshalText gives.
func (k *Kind) UnmarshalText(text []byte) error { return parseWord(k, kindNames[:], "kind", text) }

// Op is what was done to the file, seen from the client.
type Op uint8

// The operations of design section 3. An op is stored by its number: new ones go to the end.
const (
	NoOp Op = iota
	OpGet
	OpPut
	OpAppend
	OpList
	OpRename
	OpDelete
	OpMkdir
	OpRmdir
	OpCopy
	OpMove
	OpCreate
	OpModify
	OpLink
	OpSymlink
	OpAttrib
	OpRead
)

var opNames = [...]string{
	"", "get", "put", "append", "list", "rename", "delete", "mkdir", "rmdir",
	"copy", "move", "create", "modify", "link", "symlink", "attrib", "read",
}

// String returns the word that JSON, queries and the page use.
func (o Op) String() string { return word(opNames[:], int(o)) }

// MarshalText implements encoding.TextMarshaler.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText accepts what MarshalText gives.
func (o *Op) UnmarshalText(text []byte) error { return parseWord(o, opNames[:], "op", text) }

// Direction folds an operation into download (get), upload (put, append) or "" for all others.
func (o Op) Direction() string {
	switch o {
	case OpGet:
		return "download"
	case OpPut, OpAppend:
		return "upload"
	default:
		return ""
	}
}

// MovesContent reports whether the operation moves content: that of a file or, in a listing, that of a folder.
func (o Op) MovesContent() bool {
	switch o {
	case OpGet, OpPut, OpAppend, OpList, OpCopy, OpMove:
		return true
	default:
		return false
	}
}

// HasVerdict reports whether a record of the operation has a verdict: what moves content, and what may, for all that is known. All others have an outcome
// alone (design section 3).
func (o Op) HasVerdict() bool { return o == NoOp || o.MovesContent() }

// Content says how much of the content a witness had before its eyes.
type Content uint8

// Full content is the only one that has a digest. Encrypted content was seen, but not readable.
const (
	NoContent Content = iota
	Full
	Partial
	Absent
	Encrypted
)

var contentNames = [...]string{"", "full", "partial", "absent", "encrypted"}

// String returns the word that JSON uses.
func (c Content) String() string { return word(contentNames[:], int(c)) }

// MarshalText implements encoding.TextMarshaler.
func (c Content) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText accepts what MarshalText gives.
func (c *Content) UnmarshalText(text []byte) error {
	return parseWord(c, contentNames[:], "content", text)
}

func word(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown-%d", i)
}

func parseWord[T ~uint8](to *T, names []string, what string, text []byte) error {
	for i, n := range names {
		if n == string(text) {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no %s", Escape(string(text)), what)
}
