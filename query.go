package tallyman

import (
	"net/netip"
	"time"
)

// Query says which records are wanted. The zero Query means all of them, newest first.
type Query struct {
	Where    Expr      // nil = everything
	From, To time.Time // half-open interval of the start; zero = open
	After    Cursor    // where the page before this one ended
	Limit    int       // 0 = no limit
	Evidence bool
	Open     bool // only transfers that still run
}

// Cursor is the place of a record in the order of a list (start, then ID): keyset paging, no OFFSET.
type Cursor struct {
	At time.Time
	ID UUID
}

// IsZero reports whether the cursor stands before the first record.
func (c Cursor) IsZero() bool { return c.ID.IsZero() }

// Expr is And, Or, Not or Term.
type Expr interface{ expr() }

// And holds when all its members hold.
type And []Expr

// Or holds when one of its members holds.
type Or []Expr

// Not holds when its member does not.
type Not struct{ Of Expr }

// Term compares one field of a record.
type Term struct {
	Field Field
	Cmp   Cmp
	Text  string       // for text fields: the word, or the pattern with * and ?
	Num   int64        // for numbers: bytes for size, microseconds for took
	Net   netip.Prefix // for client: a single address is a prefix of full length
	Pos   int          // byte offset in the text that was parsed, for errors
}

func (And) expr()  {}
func (Or) expr()   {}
func (Not) expr()  {}
func (Term) expr() {}

// Field is a field that a query may ask for.
type Field string

// The fields. Any is a bare word: it matches file, client or reason.
const (
	FieldAny     Field = ""
	FieldVerdict Field = "verdict"
	FieldReason  Field = "reason"
	FieldOutcome Field = "outcome"
	FieldClient  Field = "client"
	FieldFile    Field = "file"
	FieldProto   Field = "proto"
	FieldOp      Field = "op"
	FieldHost    Field = "host"
	FieldUser    Field = "user"
	FieldSize    Field = "size"
	FieldTook    Field = "took"
	FieldKind    Field = "kind"
	FieldSHA256  Field = "sha256"
	FieldSearch  Field = "search"
	FieldToClass Field = "to_class"
)

// Cmp is how a field is compared.
type Cmp uint8

// The comparisons. Match is a pattern with * and ?.
const (
	Equal Cmp = iota
	Match
	Less
	LessEqual
	Greater
	GreaterEqual
)
