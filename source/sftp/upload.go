package sftp

import (
	"crypto/sha256"
	"hash"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/source/sftp/ranges"
	"tallyman/tree"
	"tallyman/user"
)

// upload is a file that is being written, under its temporary name.
type upload struct {
	story
	s        *session
	at       tallyman.Name
	up       *tree.Upload
	right    user.Right // what it needs
	opt      tree.UploadOptions
	readable bool // opened for reading too
	appends  bool // writes go to the end, wherever the client says
	behind   bool // and the end is that of the file as it is at CLOSE
	synced   bool
	base     int64 // bytes of the old file that it began with
	came     int64 // payload of all writes
	writes   int64
	copied   int64 // of came: from another file here
	has      ranges.Set
	failed   error // the first thing that went wrong: nothing will be stored
	sum      hash.Hash
	summed   int64 // bytes that are in sum
	spoilt   bool  // something below summed was written again
	meter    *user.Meter
	taken    int64 // bytes taken of the quota
	fresh    int64 // files taken of it
}

// openUpload begins an upload.
func (s *session) openUpload(q *packet.Request) {
	u := &upload{story: s.c.newStory(tallyman.OpPut, q.Path), s: s, sum: sha256.New()}
	u.readable, u.appends = q.Flags&packet.FlagRead != 0, q.Flags&packet.FlagAppend != 0
	if err := u.begin(q); err != nil {
		if u.meter != nil {
			u.meter.Give(u.taken, u.fresh)
		}
		u.refused(err)
		s.reply(q.ID, err)
		return
	}
	u.start(facts(map[string]any{"cipher": s.c.cipher, "client": s.c.client}))
	s.c.busy.Add(1)
	s.add(q.ID, u)
}

func (u *upload) begin(q *packet.Request) error {
	s := u.s
	if err := s.full(); err != nil {
		return err
	}
	policy := s.c.srv.parts.Policy()
	if !policy.Write {
		return refuse(tallyman.Policy, "this server takes no uploads (serve.sftp.write is no)")
	}
	n, err := name(q.Path)
	if err != nil {
		return err
	}
	u.at = n
	old, err := s.c.root.Tree.Stat(n)
	there := err == nil && !old.Dir
	if err := u.allowed(q, there); err != nil {
		return err
	}
	u.opt = tree.UploadOptions{Mode: policy.Mode, MaxSize: policy.MaxSize}
	replacing := user.Overwrite
	if u.behind = u.appends && q.Flags&packet.FlagTruncate == 0; u.behind {
		replacing = user.Write
	}
	// What comes to be there meanwhile is replaced only by whom it may be replaced by.
	if q.Flags&packet.FlagExclusive != 0 || !there && s.may(n.Path(), replacing) != nil {
		u.opt.Mode = tree.Create
	}
	if there && q.Flags&packet.FlagTruncate == 0 {
		u.opt.Resume, u.op = tree.ToEnd, tallyman.OpAppend
	}
	if policy.MinFree != nil {
		disk, err := s.c.root.Tree.DiskSize()
		if err != nil {
			return err
		}
		u.opt.MinFree = int64(policy.MinFree(disk))
	}
	if err := u.takeQuota(); err != nil {
		return err
	}
	return u.create(q)
}

// allowed asks the permissions of the account.
func (u *upload) allowed(q *packet.Request, there bool) error {
	right := user.Create
	switch {
	case there && q.Flags&packet.FlagExclusive != 0:
		return refuse(tallyman.Exists, "%s exists, and the client wanted a new file", tallyman.Escape(q.Path))
	case there && q.Flags&packet.FlagTruncate != 0:
		right = user.Overwrite
	case there:
		right = user.Write
	case q.Flags&packet.FlagCreate == 0:
		return refuse(tallyman.NotFound, "%s does not exist, and the client did not want it made", tallyman.Escape(q.Path))
	}
	if u.readable && there && q.Flags&packet.FlagTruncate == 0 {
		right |= user.Read
	}
	u.right = right
	return u.s.may(u.at.Path(), right)
}

// takeQuota takes a new file of the quota, if the account has one.
func (u *upload) takeQuota() error {
	a := u.s.c.login.Account
	m, err := u.s.meter()
	if m == nil || err != nil {
		return err
	}
	if !m.Take(a, 0, 1) {
		return refuse(tallyman.Quota, "%s: the quota of files of %s is used up", tallyman.Escape(u.name), a.Name)
	}
	u.meter, u.fresh = m, 1
	return nil
}

// grow takes bytes of the quota for a file that will be so large.
func (u *upload) grow(size int64) error {
	more := size - u.taken
	if u.meter == nil || more <= 0 {
		return nil
	}
	if !u.meter.Take(u.s.c.login.Account, more, 0) {
		return refuse(tallyman.Quota, "%s: the quota of bytes of %s is used up", tallyman.Escape(u.name), u.s.c.login.Name)
	}
	u.taken = size
	return nil
}

func (u *upload) create(q *packet.Request) (err error) {
	t := u.s.c.root.Tree
	if u.up, err = t.Create(u.at, u.opt); err != nil {
		return err
	}
	u.base = u.up.Size()
	u.has.Add(0, u.base)
	if err = u.grow(u.base); err == nil {
		err = u.s.mayReal(u.up.Path(), u.right)
	}
	if err != nil {
		u.up.Abort()
		return err
	}
	if q.Attrs.Flags&packet.HasMode != 0 && u.op == tallyman.OpPut {
		u.up.SetMode(asked(q.Attrs.Mode &^ 0o022))
	}
	u.path, u.file = u.up.Path(), handleName(u.up.Identity())
	return nil
}
