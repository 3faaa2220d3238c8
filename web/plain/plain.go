// Package plain draws the page for readers without JavaScript: login and set-up, a list of transfers, one transfer with its evidence, and errors. Text
// browsers, kiosks and simple single sign-on need no more.
//
// It promises: no script and no style inside a page, so that the strictest policy holds; what comes from the network is escaped, by the record's own words for
// a terminal and by html/template for a browser. It leaves to package web who may see a page, what was asked, and the headers.
package plain

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"tallyman"
)

//go:embed plain.html
var text string

// Style is the style sheet, to be served at /plain/style.css.
//
//go:embed style.css
var Style []byte

var pages = template.Must(template.New("plain").Funcs(template.FuncMap{
	"utc":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"exact":  func(t time.Time) string { return t.UTC().Format("15:04:05.000000") },
	"escape": tallyman.Escape,
	"amount": amount,
	"took":   took,
	"client": client,
	"side":   side,
}).Parse(text))

// Login is the page that asks who is there.
type Login struct {
	Setup  bool   // nobody has a password yet: the code of the set-up link is asked for
	Choose bool   // with the code a password must be chosen
	Failed string // why the try before this one failed
}

// Draw writes the page.
func (l Login) Draw(w io.Writer) error { return pages.ExecuteTemplate(w, "login", l) }

// List is one page of transfers, newest first.
type List struct {
	Who          string // is logged in
	Query        string // as it was asked
	Fault, Caret string // what is wrong with it
	Rows         []*tallyman.Transfer
	Next         string // address of the page after it, "" on the last
}

// Draw writes the page.
func (l List) Draw(w io.Writer) error { return pages.ExecuteTemplate(w, "list", l) }

// Why is one transfer with its evidence.
type Why struct {
	Who      string
	Transfer *tallyman.Transfer
	Sentence string
	Missing  []string
	Lanes    []tallyman.Lane // what each witness says alone
}

// Draw writes the page.
func (y Why) Draw(w io.Writer) error { return pages.ExecuteTemplate(w, "why", y) }

// Said is one piece of evidence in words.
type Said struct {
	At                 time.Time
	Witness, Text, Raw string
}

// Says lists the evidence in words.
func (y Why) Says() []Said {
	all := make([]Said, len(y.Transfer.Evidence))
	for i := range y.Transfer.Evidence {
		e := &y.Transfer.Evidence[i]
		all[i] = Said{e.Time, tallyman.Escape(e.Witness), e.Says(), strings.TrimSuffix(tallyman.Escape(e.Raw), `\n`)}
	}
	return all
}

// Trouble is an error for a person.
type Trouble struct{ Text, Caret string }

// Draw writes the page.
func (t Trouble) Draw(w io.Writer) error { return pages.ExecuteTemplate(w, "trouble", t) }

func amount(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return tallyman.Count(n)
}

func took(t *tallyman.Transfer) string {
	d, ok := t.Took()
	if !ok {
		return "running"
	}
	return fmt.Sprintf("%.3f s", d.Seconds())
}

// side is where a witness stands that said nothing.
func side(s tallyman.Side) string {
	if s == tallyman.SideAbsent {
		return "did not see"
	}
	return "says nothing"
}

func client(t *tallyman.Transfer) string {
	if !t.Client.IsValid() {
		return "unknown"
	}
	return t.Client.Addr().String()
}
