package ftp

import (
	"testing"

	"tallyman/source/wire/frame"
)

// again sends other bytes in the place of the last n ones.
func (l *line) again(end, n int, flags uint8, text string) *line {
	next := l.seq[end]
	l.seq[end] -= uint32(n)
	l.send(end, flags, text)
	l.seq[end] = next
	return l
}

// Which of two versions a receiver takes depends on its system, and on what reached it (Ptacek and Newsham, 1998): the first copy may have been damaged.
func TestContentInTwoVersionsHasNoDigest(t *testing.T) {
	for _, first := range []string{"abc", "xyz"} {
		k := newTalk(t)
		c := k.login().passive()
		d := k.open("10.0.0.7:3000", passive)
		c.ask("STOR f", "150 go")
		d.says(0, first).again(0, 3, 0, "abc").acks(1).fin(0).fin(1).acks(0)
		c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
		k.ends("put closed reply-acknowledged 3")
		if twice := first == "abc"; (k.last().Digest != "") != twice {
			t.Errorf("%s, then abc: digest %q", first, k.last().Digest)
		} else if !twice {
			k.details(`"ambiguous_bytes":3`)
		}
	}
}

func TestContentWithTwoEndsIsNotWhole(t *testing.T) {
	for _, early := range []bool{true, false} {
		k := newTalk(t)
		c := k.login().passive()
		d := k.open("10.0.0.7:3000", passive)
		c.ask("STOR f", "150 go")
		if early {
			d.send(0, frame.FIN, "abc")
			d.seq[0]--
			d.send(0, 0, "def")
		} else {
			d.says(0, "abcdef").again(0, 6, frame.FIN, "abc")
		}
		d.acks(1).fin(0).fin(1).acks(0)
		c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
		if got := k.last(); got.Reason != "gap" || got.Digest != "" {
			t.Errorf("an early end %v: %s, digest %q", early, got.Reason, got.Digest)
		}
	}
}

func TestDialogueInTwoVersionsProvesNothing(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.says(0, "STOR a\r\n").again(0, 8, 0, "STOR b\r\n").says(1, "150 go\r\n")
	d.says(0, "abc").acks(1).fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("put closed gap 3")
	k.details(`"ambiguous_dialogue":true`)

	k = newTalk(t)
	c = k.login().passive()
	d = k.open("10.0.0.7:3000", passive)
	c.ask("STOR f", "150 go")
	d.says(0, "abc").acks(1).fin(0).fin(1).acks(0)
	c.says(1, "426 no!!\r\n").again(1, 10, 0, "226 done\r\n").ask("NOOP", "200 ok")
	if e := k.last(); e.Reason.Verdict().Outcome() == "success" {
		t.Errorf("%s", e.Reason)
	}
}
