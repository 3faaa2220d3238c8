package sftp

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"tallyman"
)

const (
	// quick transfers are told of at their end, in one batch; a longer one as soon as it is this old, so that live pages see it.
	quick = 200 * time.Millisecond
	// progressEvery is how often a running transfer says how far it is.
	progressEvery = time.Second
)

func itoa[T ~uint32 | ~int | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// facts writes protocol facts as canonical JSON: keys in order, no spaces.
func facts(m map[string]any) string {
	if len(m) == 0 {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// sign is evidence of ours on this connection.
func (c *connection) sign(kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Time, e.Began = kind, at, at
	e.Host, e.Witness, e.Proto, e.Proc = c.srv.cfg.Host, "server", "sftp", c.srv.cfg.Proc
	e.Peer, e.Self, e.Session = c.peer, c.self, c.session
	if c.login != nil {
		e.User = c.login.Name
	}
	return e
}

// event records what stands alone.
func (c *connection) event(kind tallyman.Kind, reason tallyman.Reason, name, text string, more map[string]any) {
	e := c.sign(kind, tallyman.Clean(time.Now()))
	e.User, e.Reason, e.Err, e.Details = tallyman.Escape(name), reason, text, facts(more)
	c.to.Record(e)
}

// refuseCommand records that something other than SFTP was asked for.
func (c *connection) refuseCommand(what, why string) {
	c.srv.counts.commands.Add(1)
	c.mu.Lock()
	c.said++
	said := c.said
	c.mu.Unlock()
	if said <= mostSaid {
		c.event(tallyman.KindCommandRefused, tallyman.Policy, c.login.Name, tallyman.Escape(what)+" refused: "+why, nil)
	}
}

// story is what is told of one transfer.
type story struct {
	c              *connection
	op             tallyman.Op
	name           string // as asked
	path, file     string
	began, told    time.Time
	opened         bool
	size, expected int64
}

func (c *connection) newStory(op tallyman.Op, name string) story {
	began := c.begin()
	return story{c: c, op: op, name: name, began: began, told: time.Now(), size: -1, expected: -1}
}

func (t *story) evidence(kind tallyman.Kind, at time.Time) tallyman.Evidence {
	e := t.c.sign(kind, at)
	e.Began, e.Op, e.Name, e.Path, e.File, e.Size, e.Expected = t.began, t.op, t.name, t.path, t.file, t.size, t.expected
	return e
}

// start records that the transfer runs.
func (t *story) start(details string) {
	if t.opened {
		return
	}
	t.opened = true
	opened := t.evidence(tallyman.KindOpened, t.began)
	opened.Details = details
	t.c.to.Record(t.evidence(tallyman.KindRequest, t.began), opened)
}

// goesOn tells how far it is, when it is time.
func (t *story) goesOn(now time.Time, moved int64) {
	switch {
	case !t.opened && now.Sub(t.told) >= quick:
		t.start("")
	case t.opened && now.Sub(t.told) >= progressEvery:
		e := t.evidence(tallyman.KindProgress, tallyman.Clean(now))
		e.Moved = moved
		t.c.to.Record(e)
	default:
		return
	}
	t.told = now
}

// end is the last evidence, for somebody to record.
func (t *story) end(reason tallyman.Reason, moved int64, err string, more map[string]any) tallyman.Evidence {
	e := t.evidence(tallyman.KindClosed, tallyman.Clean(time.Now()))
	e.Reason, e.Moved, e.Err = reason, moved, err
	more["cipher"], more["client"] = t.c.cipher, t.c.client
	e.Details = facts(more)
	return e
}

// tell records the end, with the request if it was not told of before.
func (t *story) tell(end tallyman.Evidence) {
	if t.opened {
		t.c.to.Record(end)
		return
	}
	t.opened = true
	t.c.to.Record(t.evidence(tallyman.KindRequest, t.began), end)
}

// refused records that it never began.
func (t *story) refused(err error) {
	t.c.srv.counts.refused.Add(1)
	r := refusalOf(err)
	e := t.evidence(tallyman.KindRefusal, tallyman.Clean(time.Now()))
	e.Reason, e.Err = r.Reason, r.Text
	e.Details = facts(map[string]any{"client": t.c.client})
	t.c.to.Record(e)
}
