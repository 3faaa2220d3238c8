package sftp

import (
	"time"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/tree"
	"tallyman/user"
)

// listAtOnce is how many names one reply holds: with the longest names it stays below MaxPacket.
const listAtOnce = 100

// listing is an open folder. All its names were read when it was opened.
type listing struct {
	story
	s     *session
	names []tree.Info
	told  int
	eof   bool
}

func (s *session) opendir(q *packet.Request) {
	l := &listing{story: s.c.newStory(tallyman.OpList, q.Path), s: s}
	if err := l.begin(q); err != nil {
		l.refused(err)
		s.reply(q.ID, err)
		return
	}
	s.add(q.ID, l)
}

func (l *listing) begin(q *packet.Request) error {
	if err := l.s.full(); err != nil {
		return err
	}
	n, err := name(q.Path)
	if err == nil {
		err = l.s.may(n.Path(), user.List)
	}
	if err != nil {
		return err
	}
	l.path = l.s.abs(n)
	if real, err := l.s.c.root.Tree.RealPath(n); err == nil {
		if err := l.s.may(real, user.List); err != nil {
			return err
		}
	}
	l.names, err = l.s.c.root.Tree.List(n)
	return err
}

func (s *session) readdir(q *packet.Request) {
	l, ok := s.handleOf(q).(*listing)
	if !ok {
		s.status(q.ID, packet.Failure, "no such handle")
		return
	}
	n := min(len(l.names)-l.told, listAtOnce)
	if n == 0 {
		l.eof = true
		s.status(q.ID, packet.EOF, "end of folder")
		return
	}
	now := time.Now()
	part := make([]packet.Entry, n)
	for i := range part {
		info := &l.names[l.told+i]
		part[i] = packet.Entry{Name: info.Name, Long: long(info, now), Attrs: attrs(info)}
	}
	l.told += n
	s.out = packet.AppendNames(s.out, q.ID, part)
}

// end implements handle.
func (l *listing) end(closed bool) error {
	reason := tallyman.ClosedWell
	switch {
	case closed && !l.eof:
		reason = tallyman.PartialRead
	case !closed:
		reason = l.s.c.ended()
	}
	l.tell(l.story.end(reason, -1, "", map[string]any{"names": l.told}))
	return nil
}
