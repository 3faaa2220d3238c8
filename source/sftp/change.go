package sftp

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/tree"
	"tallyman/user"
)

// change does what moves no content: names appear, go and change. Each has a record of its own.
func (s *session) change(q *packet.Request) {
	op := map[byte]tallyman.Op{packet.Remove: tallyman.OpDelete, packet.Mkdir: tallyman.OpMkdir, packet.Rmdir: tallyman.OpRmdir, packet.Rename: tallyman.OpRename}[q.Type]
	switch {
	case op != tallyman.NoOp:
	case q.Extension == packet.PosixRename:
		op = tallyman.OpRename
	default:
		op = tallyman.OpLink
	}
	t := s.c.newStory(op, q.Path)
	more := map[string]any{"client": s.c.client}
	from, err := name(q.Path)
	var to tallyman.Name
	if err == nil && q.Target != "" {
		to, err = name(q.Target)
	}
	if err == nil {
		t.path = s.abs(from)
		err = s.do(q, op, from, to, more)
	}
	if err != nil {
		t.refused(err)
		s.reply(q.ID, err)
		return
	}
	e := t.evidence(tallyman.KindClosed, tallyman.Clean(time.Now()))
	e.Reason, e.Details = tallyman.ClosedWell, facts(more)
	if to != (tallyman.Name{}) {
		e.From, e.Path = e.Path, s.abs(to)
	}
	t.c.to.Record(e)
	s.reply(q.ID, nil)
}

// abs is the absolute path of a name.
func (s *session) abs(n tallyman.Name) string { return s.c.root.Tree.Path() + "/" + n.Path() }

// do asks the permissions and does it.
func (s *session) do(q *packet.Request, op tallyman.Op, from, to tallyman.Name, more map[string]any) error {
	if !s.c.srv.parts.Policy().Write {
		return refuse(tallyman.Policy, "this server changes nothing (serve.sftp.write is no)")
	}
	t := s.c.root.Tree
	right := map[tallyman.Op]user.Right{
		tallyman.OpDelete: user.Delete, tallyman.OpRmdir: user.Delete, tallyman.OpMkdir: user.Create, tallyman.OpRename: user.Rename, tallyman.OpLink: user.Read,
	}[op]
	if err := s.mayChange(from, right); err != nil {
		return err
	}
	switch op {
	case tallyman.OpDelete:
		return s.remove(from)
	case tallyman.OpRmdir:
		return t.Rmdir(from)
	case tallyman.OpMkdir:
		return t.Mkdir(from)
	case tallyman.OpLink:
		if err := s.mayChange(to, user.Create); err != nil {
			return err
		}
		return s.link(from, to)
	default:
		return s.rename(q, from, to, more)
	}
}

// mayChange asks for a name as it was asked for and as it is really: a link in its folder does not lead around permissions.
func (s *session) mayChange(n tallyman.Name, right user.Right) error {
	if err := s.may(n.Path(), right); err != nil {
		return err
	}
	return s.may(s.c.root.Tree.RealName(n), right)
}

func (s *session) remove(n tallyman.Name) error {
	gone, err := s.c.root.Tree.Remove(n)
	if m, bad := s.meter(); err == nil && bad == nil && m != nil && gone >= 0 {
		m.Settle(0, gone, 1)
	}
	return err
}

// meter is that of the quota of the account, nil where it has none.
func (s *session) meter() (*user.Meter, error) {
	a, t := s.c.login.Account, s.c.root.Tree
	if a.QuotaBytes == 0 && a.QuotaFiles == 0 {
		return nil, nil //nolint:nilnil // there is nothing to be measured
	}
	return s.c.login.Meter(t.Path(), func() (int64, int64, error) { return t.Usage(s.c.ctx) })
}

// link counts a second name as a second file, as the measuring of a quota does: otherwise it would stay when the first is removed, and cost nothing.
func (s *session) link(from, to tallyman.Name) error {
	t := s.c.root.Tree
	m, err := s.meter()
	if m == nil || err != nil {
		if err != nil {
			return err
		}
		return t.Link(from, to)
	}
	info, err := t.Stat(from)
	if err != nil {
		return err
	}
	if !m.Take(s.c.login.Account, info.Size, 1) {
		return refuse(tallyman.Quota, "the quota of %s is used up", s.c.login.Name)
	}
	if err := t.Link(from, to); err != nil {
		m.Give(info.Size, 1)
		return err
	}
	m.Settle(info.Size, 0, 0)
	return nil
}

// rename is plain (nothing is replaced) or that of POSIX, which replaces; what is replaced is kept as by an upload.
func (s *session) rename(q *packet.Request, from, to tallyman.Name, more map[string]any) error {
	right := user.Create
	mode := tree.Create
	if q.Extension == packet.PosixRename {
		if info, err := s.c.root.Tree.Stat(to); err == nil && !info.Dir {
			right, mode = user.Overwrite, s.c.srv.parts.Policy().Mode
		}
	}
	if err := s.mayChange(to, right); err != nil {
		return err
	}
	// A folder takes what is in it to another place, where the patterns below its former name mean nothing any more.
	info, _ := s.c.root.Tree.Stat(from) // what is not there is refused by the rename
	for _, n := range []tallyman.Name{from, to} {
		a, real := s.c.login.Account, s.c.root.Tree.RealName(n)
		if info.Dir && (a.RulesBelow(n.Path()) || a.RulesBelow(real)) {
			return refuse(tallyman.Policy, "%s has other permissions below /%s: no folder is renamed from or to there", a.Name, tallyman.Escape(real))
		}
	}
	kept, err := s.c.root.Tree.Replace(from, to, mode)
	if kept != "" {
		more["kept"] = tallyman.Escape(kept)
	}
	return err
}

// setstat answers SETSTAT of a path: mode and time.
func (s *session) setstat(q *packet.Request) {
	n, err := name(q.Path)
	if err == nil {
		err = s.mayChange(n, user.Write)
	}
	if err == nil && !s.c.srv.parts.Policy().Write {
		err = refuse(tallyman.Policy, "this server changes nothing (serve.sftp.write is no)")
	}
	if u := s.writing(n); u != nil && err == nil {
		s.reply(q.ID, u.dress(&q.Attrs))
		return
	}
	if err == nil {
		err = s.dress(n, &q.Attrs)
	}
	if err != nil && refusalOf(err).Reason == tallyman.BadRequest {
		s.status(q.ID, packet.Unsupported, "mode and time can be set by name, the size cannot")
		return
	}
	s.reply(q.ID, err)
}

func (s *session) dress(n tallyman.Name, a *packet.Attrs) error {
	if a.Flags&packet.HasSize != 0 {
		return refuse(tallyman.BadRequest, "the size cannot be set by name")
	}
	t := s.c.root.Tree
	info, err := t.Stat(n)
	if err != nil {
		return err
	}
	if a.Flags&packet.HasOwner != 0 && (a.UID != info.UID || a.GID != info.GID) { // cp -p gives a file to the owner that it has
		return refuse(tallyman.Policy, "the owner is not changed here")
	}
	if n.Path() == "" {
		return nil // the root stays as it is: clients that copy trees set both
	}
	if a.Flags&packet.HasMode != 0 && !info.Dir { // of a folder the mode stays
		if err := t.SetMode(n, asked(a.Mode)); err != nil {
			return err
		}
	}
	if a.Flags&packet.HasTimes != 0 {
		return t.SetModified(n, time.Unix(int64(a.MTime), 0))
	}
	return nil
}

// fsetstat answers FSETSTAT: what is set on a file that is being written counts when it gets its name.
func (s *session) fsetstat(q *packet.Request) {
	u, ok := s.handleOf(q).(*upload)
	switch {
	case !ok:
		s.status(q.ID, packet.PermissionDenied, "not opened for writing")
		return
	case q.Attrs.Flags&packet.HasOwner != 0 && (int(q.Attrs.UID) != os.Geteuid() || int(q.Attrs.GID) != os.Getegid()):
		s.status(q.ID, packet.PermissionDenied, "the owner is not changed here")
		return
	}
	s.reply(q.ID, u.dress(&q.Attrs))
}

// dress sets what counts when the file gets its name. The owner stays.
func (u *upload) dress(a *packet.Attrs) error {
	if a.Flags&packet.HasMode != 0 {
		u.up.SetMode(asked(a.Mode))
	}
	if a.Flags&packet.HasTimes != 0 {
		u.up.SetModified(time.Unix(int64(a.MTime), 0))
	}
	if a.Flags&packet.HasSize != 0 {
		return u.truncate(a.Size)
	}
	return nil
}

// writing is the upload of that name in this session, nil if there is none: who writes a file sees it, as clients that mount folders (sshfs) expect.
// Nobody else does.
func (s *session) writing(n tallyman.Name) *upload {
	for _, h := range s.handles {
		if u, ok := h.(*upload); ok && u.at == n {
			return u
		}
	}
	return nil
}

// statvfs tells of the file system, or of the quota where that is less (OpenSSH PROTOCOL, section 4.4).
func (s *session) statvfs(q *packet.Request) {
	n, err := name(q.Path)
	if q.Extension == packet.FStatVFS {
		n, err = tallyman.Name{}, nil
		if s.handleOf(q) == nil {
			err = refuse(tallyman.NotFound, "no such handle")
		}
	}
	if err == nil {
		err = s.may(n.Path(), user.List)
	}
	var sp tree.Space
	if err == nil {
		sp, err = s.c.root.Tree.Space(n)
	}
	if err != nil {
		s.reply(q.ID, err)
		return
	}
	const readOnly, noSetuid = 1, 2
	flags := uint64(noSetuid)
	if sp.Flags&unix.ST_RDONLY != 0 || !s.c.srv.parts.Policy().Write {
		flags |= readOnly
	}
	s.out = packet.AppendNumbers(s.out, q.ID, sp.BlockSize, sp.BlockSize, sp.Blocks, sp.Free, sp.Avail, sp.Files, sp.FilesFree, sp.FilesFree, 0, flags, sp.NameMax)
}

// stat answers STAT and LSTAT: links that stay inside are followed, others are not there.
func (s *session) stat(q *packet.Request) {
	n, err := name(q.Path)
	var info tree.Info
	if err == nil {
		err = s.maySee(n.Path())
	}
	if err == nil {
		info, err = s.c.root.Tree.Stat(n)
	}
	if err == nil && len(s.c.login.Paths) > 0 {
		var real string
		if real, err = s.c.root.Tree.RealPath(n); err == nil {
			err = s.maySee(real)
		}
	}
	if u := s.writing(n); u != nil && err != nil && refusalOf(err).Reason == tallyman.NotFound {
		info, err = u.info(), nil
	}
	if err != nil {
		s.reply(q.ID, err)
		return
	}
	s.out = packet.AppendAttrs(s.out, q.ID, attrs(&info))
}

// maySee asks whether the account may know of a file: to list or to read it.
func (s *session) maySee(at string) error {
	if err := s.may(at, user.List); err != nil {
		return s.may(at, user.Read)
	}
	return nil
}

func (u *upload) info() tree.Info {
	return tree.Info{Size: u.up.Size(), Mode: u.up.Mode(), Modified: time.Now()}
}

func (s *session) fstat(q *packet.Request) {
	info := tree.Info{Mode: 0o644, Modified: time.Now()}
	switch h := s.handleOf(q).(type) {
	case *download:
		info.Size, info.Modified = h.size, h.file.Modified()
	case *upload:
		info = h.info()
	case *listing:
		info.Dir, info.Mode = true, 0o755
	default:
		s.status(q.ID, packet.Failure, "no such handle")
		return
	}
	s.out = packet.AppendAttrs(s.out, q.ID, attrs(&info))
}

// attrs are the attributes of a file or folder (inode(7) has the types).
func attrs(i *tree.Info) packet.Attrs {
	a := packet.Attrs{
		Flags: packet.HasSize | packet.HasMode | packet.HasTimes | packet.HasOwner, Size: uint64(i.Size), UID: i.UID, GID: i.GID, Mode: uint32(i.Mode.Perm()) | unix.S_IFREG,
		ATime: seconds(i.Modified), MTime: seconds(i.Modified),
	}
	if i.Dir {
		a.Mode = uint32(i.Mode.Perm()) | unix.S_IFDIR
	}
	return a
}

// seconds is a time as version 3 has it: 32 bits without a sign.
func seconds(t time.Time) uint32 { return uint32(max(0, min(t.Unix(), 1<<32-1))) }

// long is a line as ls -l writes it (section 7). Names are escaped in it: clients print it.
func long(i *tree.Info, now time.Time) string {
	mode := i.Mode.Perm().String()
	if i.Dir {
		mode = "d" + mode[1:]
	}
	layout := "Jan _2 15:04"
	if age := now.Sub(i.Modified); age > 180*24*time.Hour || age < -24*time.Hour {
		layout = "Jan _2  2006"
	}
	return fmt.Sprintf("%s    1 %-8d %-8d %8d %s %s", mode, i.UID, i.GID, i.Size, i.Modified.Format(layout), tallyman.Escape(i.Name))
}
