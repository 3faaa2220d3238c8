package engine

import (
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/ftp/listing"
)

// Action is an order to the driver. It carries them out in the order of Next.
type Action interface{ action() }

// Reply is sent on the control connection.
type Reply struct{ Text []byte }

// Secure begins TLS on the control connection; Secured answers it. What the client sent before is dropped.
type Secure struct{}

// Login asks whether the password is right; LoggedIn answers it, perhaps much later.
type Login struct{ User, Password string }

// Listen opens a data port; Listening answers it. A port that was open is closed.
type Listen struct{}

// Aim takes the address to connect to when data moves. A port that was open is closed.
type Aim struct{ At netip.AddrPort }

// Unlisten closes what Listen opened.
type Unlisten struct{}

// Form is how a folder is listed.
type Form uint8

// The forms of LIST, NLST and MLSD.
const (
	Long Form = iota
	Names
	Entries
)

// Open opens what is to move; Opened answers it.
type Open struct {
	Op        tallyman.Op
	Name      tallyman.Name // the zero Name is the root
	Offset    int64         // of REST; ToEnd appends
	Announced int64         // of ALLO, -1 when not said
	Unique    bool          // STOU: a name that nobody has
	ASCII     bool
	Form      Form          // of a list
	Facts     listing.Facts // of Entries
	Prefix    string        // of Names: what stands before each
}

// ToEnd is the offset of APPE.
const ToEnd int64 = -1

// Move moves what was opened over the data connection; Moved answers it.
type Move struct{ Private bool }

// Halt ends the running Move, which Moved answers, or the Login, which LoggedIn answers, or the digest of a Do, which Did answers, or the Store, which Stored
// answers: with Gone if the file did not have its name yet.
type Halt struct{}

// Store stores the upload for good: synced, recorded, renamed; Stored answers it. The evidence of T is to be on stable storage before.
type Store struct{ T *Transfer }

// Drop lets what was opened go, an upload without a trace.
type Drop struct{}

// Do is work on names; Did answers it, of HASH and XSHA256 perhaps much later.
type Do struct {
	Verb     string
	Name, To tallyman.Name
	Mode     uint32
	At       time.Time
}

// Look looks at the control connection, and at the data connection of a download whose end is not proven; State answers it.
type Look struct{}

// Release says that nobody asks for that data connection any more.
type Release struct{}

// Begin is evidence that a transfer runs.
type Begin struct{ T *Transfer }

// Progress is evidence of how far it is.
type Progress struct{ T *Transfer }

// Finish is evidence of its end.
type Finish struct{ T *Transfer }

// Refuse is evidence that it was refused.
type Refuse struct{ T *Transfer }

// Event is evidence that stands alone.
type Event struct {
	Kind   tallyman.Kind
	Reason tallyman.Reason
	User   string
	Text   string
	Third  netip.AddrPort // who else it is about
}

// Named is evidence that a name was made, changed or removed, or that this was refused.
type Named struct {
	Op       tallyman.Op
	Began    time.Time
	Name     string // as asked
	Path, To string // on disk
	Err      *Refusal
}

// Hangup ends the session.
type Hangup struct{}

func (Reply) action()    {}
func (Secure) action()   {}
func (Login) action()    {}
func (Listen) action()   {}
func (Aim) action()      {}
func (Unlisten) action() {}
func (Open) action()     {}
func (Move) action()     {}
func (Halt) action()     {}
func (Store) action()    {}
func (Drop) action()     {}
func (Do) action()       {}
func (Look) action()     {}
func (Release) action()  {}
func (Begin) action()    {}
func (Progress) action() {}
func (Finish) action()   {}
func (Refuse) action()   {}
func (Event) action()    {}
func (Named) action()    {}
func (Hangup) action()   {}

// Transfer is what the machine knows of one transfer. Numbers are -1 when they are not known.
type Transfer struct {
	Op        tallyman.Op
	Began     time.Time // different for each transfer of a session
	Verb      string
	Name      string // as asked: the argument, or the whole path where the session was in another folder than the root
	User      string
	Path      string // on disk
	Handle    string
	Offset    int64
	Announced int64
	Size      int64 // of the file: at open of a download, as stored of an upload
	ASCII     bool
	Passive   bool
	Private   bool     // the data connection was to be TLS
	Compared  []string // by which commands the client learned, behind the final reply, what is stored

	End     Ending
	Codes   []int
	Reason  tallyman.Reason
	Err     string
	Digest  tallyman.Digest
	at      tallyman.Name
	aborted bool
	why     tallyman.Reason // of Halt
	storing bool
}

// Opened says what Open did. Err is a *Refusal or nil.
type Opened struct {
	Path, Handle string
	Size         int64 // of what is there; -1 when not known
	Offset       int64 // where an upload begins
	Made         string
	Err          *Refusal
}

// Refusal is why something is not done: a reason of the closed list, and a sentence for the record that is never sent.
type Refusal struct {
	Reason tallyman.Reason
	Text   string
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// How a data connection ended.
type How uint8

// The ends of a data connection.
const (
	Whole     How = iota // upload: the end of the stream; download: all was handed to the kernel, and the end too
	NoPeer               // nobody came, or nobody could be reached
	Foreign              // active mode: somebody else was reached
	NoTLS                // the handshake failed
	Stranger             // TLS, but not the session of this control connection
	Reset                // by the peer
	Silent               // nothing moved for too long
	Halted               // by Halt
	Disk                 // reading or writing the file failed
	ShortFile            // the file became shorter while it was read
)

// Ending is what became of a Move.
type Ending struct {
	How       How
	Notify    bool  // under TLS: the peer's close_notify came
	Bytes     int64 // payload
	Delivered int64 // of a download: what the peer's kernel took; -1 = all of Bytes
	Peer      netip.AddrPort
	Local     netip.AddrPort
	TLS       string // version, "" without
	Resumed   bool
	Strangers int // connections of others to the data port
	Changed   bool
	Digest    tallyman.Digest
	Err       *Refusal
	ErrText   string
	Alive     bool // the control connection was alive when the data connection had ended
}

// Stored says what Store did. Gone is set when the control connection had ended, or Halt came, before the file got its name: then there is no file.
type Stored struct {
	Size   int64
	Digest tallyman.Digest
	Gone   bool
	Err    *Refusal
}

// Answer says what Do did.
type Answer struct {
	Info listing.Info
	List []string // lines of STAT
	Sum  string   // hexadecimal
	Path string   // on disk
	To   string
	Err  *Refusal
}

// State is a look at the connections.
type State struct {
	Unacked   int  // bytes on the control connection that the client has not acknowledged
	Alive     bool // neither reset nor timed out
	DataLeft  int  // bytes of a download that the client has not acknowledged
	DataReset bool
}
