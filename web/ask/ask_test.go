package ask

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

var begun = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// pointed is an error of a query language that knows where the fault is.
type pointed struct{ error }

func (pointed) Caret() string { return "a b\n  ^" }

// words takes any single word.
func words(text string, _ time.Time) (tallyman.Expr, error) {
	if strings.Contains(text, " ") {
		return nil, pointed{errors.New("one word")}
	}
	return tallyman.Term{Text: text}, nil
}

func TestWhatIsNotUnderstoodIsAFault(t *testing.T) {
	f := func(question, want string) {
		t.Helper()
		v, err := url.ParseQuery(question)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Records(v, words, begun)
		fault, ok := errors.AsType[*Fault](err)
		if !ok || !strings.Contains(fault.Text, want) || tallyman.Escape(fault.Text) != fault.Text {
			t.Errorf("%s: %v does not say %q", question, err, want)
		}
	}
	f("limit=0", "from 1 to 1000")
	f("limit=1001", "from 1 to 1000")
	f("from=yesterday", "now-24h")
	f("from=now-5y", "now-24h")
	f("to=now-99999999999w", "now-24h")
	f("from=now&to=now-1h", "swap them")
	f("from=%1b[31m", `\x1b[31m`)
	f("after=nonsense", "is no cursor")
	f("q=a+b", "one word")
	f("q="+strings.Repeat("a", 5000), "at most 4096")
}

func TestFaultOfAQueryCarriesTheCaret(t *testing.T) {
	_, err := Where("a b", words, begun)
	if fault, ok := errors.AsType[*Fault](err); !ok || fault.Caret != "a b\n  ^" {
		t.Errorf("%+v", err)
	}
}

func TestQuestionWithoutParametersHasItsBounds(t *testing.T) {
	q, err := Records(url.Values{}, words, begun)
	if err != nil || q.Limit != 100 || q.Where != nil || !q.From.IsZero() || !q.To.IsZero() || !q.After.IsZero() {
		t.Errorf("records: %+v, %v", q, err)
	}
	c, err := Counts(url.Values{}, "file", begun)
	if err != nil || c.By != "file" || c.Limit != 1000 || !c.To.Equal(begun) || c.To.Sub(c.From) != 24*time.Hour {
		t.Errorf("counts: %+v, %v", c, err)
	}
}

func TestTimesMayBeRelative(t *testing.T) {
	now := begun
	for text, want := range map[string]string{
		"now": "2026-03-01T12:00:00Z", "now-90s": "2026-03-01T11:58:30Z", "now-24h": "2026-02-28T12:00:00Z", "now-2w": "2026-02-15T12:00:00Z",
		"2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31T12:00:00+02:00": "2026-01-31T10:00:00Z",
	} {
		got, err := moment("from", text, now)
		if err != nil || got.Format("2006-01-02T15:04:05Z07:00") != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestCursorComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c tallyman.Cursor
		copy(c.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		c.At = begun.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, "at")) * time.Microsecond)
		got, err := cursor(Next(c))
		if err != nil || got != c {
			t.Fatalf("got %v, %v", got, err)
		}
	})
}

// FuzzRecords: what is accepted is bounded, and the place that it names comes back as it was.
func FuzzRecords(f *testing.F) {
	f.Add("word", "now-24h", "now", "10", Next(tallyman.Cursor{At: begun, ID: tallyman.DrawUUID(begun, tallyman.ID{Seq: 1})}))
	f.Add("", "2026-01-31", "2026-01-31T12:00:00+02:00", "1000", "")
	f.Add("a b", "now-1y", "", "0", "MTAgYQ")
	f.Fuzz(func(t *testing.T, q, from, to, limit, after string) {
		got, err := Records(url.Values{"q": {q}, "from": {from}, "to": {to}, "limit": {limit}, "after": {after}}, words, begun)
		if err != nil {
			if fault, ok := errors.AsType[*Fault](err); !ok || fault.Text == "" {
				t.Errorf("an error without words: %v", err)
			}
			return
		}
		if got.Limit < 1 || got.Limit > maxLimit || !got.From.IsZero() && !got.To.IsZero() && !got.From.Before(got.To) {
			t.Errorf("%+v", got)
		}
		if !got.After.IsZero() {
			if back, err := cursor(Next(got.After)); err != nil || back != got.After {
				t.Errorf("%v came back as %v, %v", got.After, back, err)
			}
		}
	})
}
