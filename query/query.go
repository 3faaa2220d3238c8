// Package query reads the query language and says which transfers a query means. It is pure: text in, an expression of the root package out; it
// reads no clock and asks no ledger.
//
//	verdict:failed client:10.20.0.0/16 -file:*.tmp (op:upload OR size:>1MiB) took:<2s running-config
//
// # Grammar
//
//	query = and { "OR" and }               AND binds tighter than OR; the words are operators in capitals only
//	and   = not { [ "AND" ] not }
//	not   = ( "-" | "NOT" ) not | "(" query ")" | term
//	term  = [ field ":" ] value            no space around the colon
//
// A value ends at a space or a parenthesis. "Double quotes" take those in, and * and ? lose their meaning there. A backslash makes the next
// character plain, except \n \r \t \xHH \uHHHH \UHHHHHHHH, which mean what [tallyman.Escape] writes with them. An empty query means everything (nil).
//
// # Meaning
//
// Match is the definition; a ledger that translates an expression must give the same answer. A comparison with something that a record does not
// have is false, and so its negation is true: -took:<2s holds for a transfer that still runs. (In SQL, where NULL spreads, that takes care.)
//
//	verdict reason outcome op proto kind   one word of a closed list, in any letter case, or several with commas; * and ? choose from the list.
//	                     The expression holds Equal terms only, joined by Or. op:upload is put and append, op:download is get. The kind of a
//	                     transfer is transfer. A running transfer has no reason and no outcome, and what moves no content an outcome alone.
//	client               an address or a network (10.20.* means 10.20.0.0/16). Equal: the network in Net, masked, holds the client's address, from
//	                     which a mapping into IPv6 and a zone are taken off first. Never true without an address.
//	file                 the name as asked, or the path where nobody asked for a name (Name == ""): raw bytes, letter case counts. Equal: the whole of
//	                     it is Text. Match: the whole of it fits the pattern.
//	host user            as file, of the host and of the user. user:"" means unknown.
//	size                 payload bytes proven to have moved (Transfer.Bytes). Num is bytes. Never true if they are not known.
//	took                 from start to end in whole microseconds, cut. Num is microseconds. Never true while the transfer runs.
//	sha256               64 hexadecimal digits (Equal), or fewer: the first of them (Match, the digits and *). Never true of another algorithm.
//	search               yes or no: whether Details, a JSON object, has a member "search" (a refusal within a boot search).
//	(no field)           a bare word: Text, in which A-Z are lower-cased. Equal: Text is contained in the file (as above), in the text of the
//	                     client's address or in the reason. Match: the whole of one of them fits the pattern. A-Z in them count as a-z; other letters are as they are.
//	                     A bare network is client:network; a bare address is (client:address OR file:*address*).
//
// The comparisons are Equal, Less, LessEqual, Greater and GreaterEqual for size and took, Equal and Match for all others. In the pattern of a Match, * is any
// bytes, also none and also a slash; ? is one character of UTF-8, or one byte where there is none; a backslash makes the next byte plain.
package query

import (
	"time"

	"tallyman"
)

// Bounds of a query: an expression stays small enough for every ledger.
const (
	maxTerms = 200
	maxDepth = 50
)

// Parse reads a query. The time is the one that words about time refer to; no field has such words yet. The error is an *Error, which knows the place.
//
// The expression is flat: no And in an And, no Or in an Or, no Not of a Not, none with fewer than two members.
func Parse(text string, _ time.Time) (tallyman.Expr, error) {
	p := &parser{text: text}
	p.space()
	if p.done() {
		return nil, nil
	}
	e, err := p.or(0)
	if err == nil && !p.done() {
		err = p.fail(p.at, p.at+1, "this closes nothing: take it out, or quote it")
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}
