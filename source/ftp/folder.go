package ftp

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/tree"
	"tallyman/user"
)

// Policy is what the server allows anybody, whatever his account says. A reload may change it.
type Policy struct {
	Write   bool
	Mode    tree.Mode // what happens to a file that an upload finds under its name
	MaxSize int64     // bytes of an upload; 0: no bound
	MinFree func(disk uint64) uint64
}

// Folder is a served tree as an account sees it; it is Files.
type Folder struct {
	Tree    *tree.Tree
	Digests *tree.Digests
	Policy  func() Policy
	// May says whether the account has the rights for a path below the root, "." for the root.
	May func(path string, rights user.Right) bool
	// RulesBelow says whether what lies below a path has rights of its own; nil: nothing has.
	RulesBelow func(path string) bool
	// Quota is nil where the account has none.
	Quota *Quota
}

// AccountOf is the account of a login, in the folder that is its root.
func AccountOf(l *user.Login, t *tree.Tree, d *tree.Digests, p func() Policy) Account {
	f := &Folder{Tree: t, Digests: d, Policy: p, May: l.May, RulesBelow: l.RulesBelow}
	if l.QuotaBytes > 0 || l.QuotaFiles > 0 {
		f.Quota = &Quota{Account: l.Account, Meter: func() (*user.Meter, error) {
			return l.Meter(t.Path(), func() (int64, int64, error) { return t.Usage(context.Background()) })
		}}
	}
	return Account{Name: l.Name, Files: f, NoReuse: !l.TLSReuse, Up: l.Up, Down: l.Down, Close: l.Close}
}

// refused hands the reason of the tree on.
func refused(err error) error {
	if r, ok := errors.AsType[*tree.Refusal](err); ok {
		return &Refusal{Reason: r.Reason, Text: r.Text}
	}
	return err
}

// may asks for a name as it was asked for and as it is really: a link does not lead around a path with other rights. folder says that the last element itself is
// not followed, because it is made, removed or renamed.
func (f *Folder) may(n tallyman.Name, rights user.Right, folder bool) error {
	path := n.Path()
	if path == "" {
		path = "."
	}
	var real string
	var err error
	if folder && path != "." {
		real, err = f.Tree.RealFolder(n)
		real = strings.TrimPrefix(real+"/"+n.Base(), "./")
	} else {
		real, err = f.Tree.RealPath(n)
	}
	if err != nil {
		real = path // what cannot be reached is refused by whoever does it
	}
	if !f.May(path, rights) || !f.May(real, rights) {
		return &Refusal{Reason: tallyman.Policy, Text: "the account lacks the right to " + rights.String() + " at " + tallyman.Escape(path)}
	}
	return nil
}

// change asks for a right to change something, and does it.
func (f *Folder) change(n tallyman.Name, rights user.Right, do func() error) error {
	if !f.Policy().Write {
		return &Refusal{Reason: tallyman.Policy, Text: "this server changes nothing (serve.ftp.write is no)"}
	}
	if err := f.may(n, rights, true); err != nil {
		return err
	}
	return refused(do())
}

// Open implements Files.
func (f *Folder) Open(name tallyman.Name) (File, error) {
	if err := f.may(name, user.Read, false); err != nil {
		return nil, err
	}
	file, err := f.Tree.OpenRead(name)
	if err != nil {
		return nil, refused(err)
	}
	return &folderFile{File: file, digests: f.Digests, opened: time.Now()}, nil
}

// Create implements Files.
func (f *Folder) Create(name tallyman.Name, c Creation) (Upload, error) {
	p := f.Policy()
	if !p.Write {
		return nil, &Refusal{Reason: tallyman.Policy, Text: "this server takes no uploads (serve.ftp.write is no)"}
	}
	right, replacing := user.Create, user.Overwrite
	if c.Offset != 0 {
		replacing = user.Write
	}
	old, err := f.Tree.Stat(name)
	there := err == nil && !old.Dir && !c.Unique
	if there {
		right = replacing
	}
	if err := f.may(name, right, true); err != nil {
		return nil, err
	}
	opt := tree.UploadOptions{Mode: p.Mode, MaxSize: p.MaxSize, Announced: max(c.Announced, 0), Resume: c.Offset}
	if c.Unique || !there && f.may(name, replacing, true) != nil { // what comes to be there meanwhile is replaced only by whom it may be replaced by
		opt.Mode = tree.Create
	}
	if p.MinFree != nil {
		disk, err := f.Tree.DiskSize()
		if err != nil {
			return nil, refused(err)
		}
		opt.MinFree = int64(p.MinFree(disk))
	}
	share, err := f.Quota.begin()
	if err != nil {
		return nil, err
	}
	u, err := f.Tree.Create(name, opt)
	if err != nil {
		share.giveBack()
		return nil, refused(err)
	}
	out := &folderUpload{Upload: u, share: share}
	if err := share.grow(u.Size()); err != nil {
		out.Abort()
		return nil, err
	}
	return out, nil
}

// Stat implements Files. Whoever has any right to a path may know that it is there.
func (f *Folder) Stat(name tallyman.Name) (Info, error) {
	refusal := error(nil)
	for right := user.Right(1); right <= user.All; right <<= 1 {
		if refusal = f.may(name, right, false); refusal == nil {
			break
		}
	}
	if refusal != nil {
		return Info{}, refusal
	}
	i, err := f.Tree.Stat(name)
	if err != nil {
		return Info{}, refused(err)
	}
	return f.told(&i, name.Path()), nil
}

// List implements Files.
func (f *Folder) List(name tallyman.Name) ([]Info, error) {
	if err := f.may(name, user.List, false); err != nil {
		return nil, err
	}
	all, err := f.Tree.List(name)
	if err != nil {
		return nil, refused(err)
	}
	out := make([]Info, len(all))
	for i := range all {
		out[i] = f.told(&all[i], strings.TrimPrefix(name.Path()+"/"+all[i].Name, "/"))
	}
	return out, nil
}

// Available implements Files: what the disk has beside what must stay free, or what is left of the quota or of the size that an upload may have.
func (f *Folder) Available(dir tallyman.Name) (int64, error) {
	if err := f.may(dir, user.List, false); err != nil {
		return 0, err
	}
	p := f.Policy()
	if !p.Write {
		return 0, nil
	}
	space, err := f.Tree.Space(dir)
	if err != nil {
		return 0, refused(err)
	}
	free := int64(min(space.Avail*space.BlockSize, math.MaxInt64))
	if p.MinFree != nil {
		free -= int64(p.MinFree(space.Blocks * space.BlockSize))
	}
	if p.MaxSize > 0 {
		free = min(free, p.MaxSize)
	}
	left, err := f.Quota.left()
	if err != nil {
		return 0, err
	}
	return max(min(free, left), 0), nil
}

func (f *Folder) told(i *tree.Info, path string) Info {
	out := Info{Name: i.Name, Dir: i.Dir, Mode: i.Mode, Size: i.Size, Modified: i.Modified, ID: handle(i.Dev, i.Ino)}
	if path == "" {
		path = "."
	}
	write := f.Policy().Write
	out.May.Read, out.May.Write = f.May(path, user.Read), write && f.May(path, user.Write)
	out.May.Delete, out.May.Rename = write && f.May(path, user.Delete), write && f.May(path, user.Rename)
	return out
}

// handle names a file on one host: device and inode.
func handle(dev, ino uint64) string {
	b := strconv.AppendUint(make([]byte, 0, 32), dev, 10)
	return string(strconv.AppendUint(append(b, ':'), ino, 10))
}

// Mkdir implements Files.
func (f *Folder) Mkdir(name tallyman.Name) error {
	return f.change(name, user.Create, func() error { return f.Tree.Mkdir(name) })
}

// Rmdir implements Files.
func (f *Folder) Rmdir(name tallyman.Name) error {
	return f.change(name, user.Delete, func() error { return f.Tree.Rmdir(name) })
}

// Remove implements Files.
func (f *Folder) Remove(name tallyman.Name) error {
	return f.change(name, user.Delete, func() error {
		gone, err := f.Tree.Remove(name)
		if err == nil && gone >= 0 {
			f.Quota.gone(gone)
		}
		return err
	})
}

// Rename implements Files. A file that it replaces is kept as by an upload.
func (f *Folder) Rename(from, to tallyman.Name) error {
	right, mode := user.Create, tree.Create
	if i, err := f.Tree.Stat(to); err == nil && !i.Dir {
		right, mode = user.Overwrite, f.Policy().Mode
	}
	return f.change(from, user.Rename, func() error {
		if err := f.may(to, right, true); err != nil {
			return err
		}
		i, _ := f.Tree.Stat(from)                     // what is not there is refused by the rename
		for _, n := range []tallyman.Name{from, to} { // what lies in a folder would have the rights of another place
			if i.Dir && f.RulesBelow != nil && (f.RulesBelow(n.Path()) || f.RulesBelow(f.Tree.RealName(n))) {
				return &Refusal{Reason: tallyman.Policy, Text: "the account has other rights below " + tallyman.Escape(n.Path()) + ": no folder is renamed from or to there"}
			}
		}
		_, err := f.Tree.Replace(from, to, mode)
		return err
	})
}

// SetModified implements Files.
func (f *Folder) SetModified(name tallyman.Name, at time.Time) error {
	return f.change(name, user.Write, func() error { return f.Tree.SetModified(name, at) })
}

// SetMode implements Files.
func (f *Folder) SetMode(name tallyman.Name, mode fs.FileMode) error {
	return f.change(name, user.Write, func() error { return f.Tree.SetMode(name, mode) })
}

// Path implements Files.
func (f *Folder) Path(name tallyman.Name) string { return filepath.Join(f.Tree.Path(), name.Path()) }

// folderFile is a file that is being read.
type folderFile struct {
	*tree.File
	digests *tree.Digests
	opened  time.Time
}

// Handle implements File.
func (f *folderFile) Handle() string {
	id := f.Identity()
	return handle(id.Dev, id.Ino)
}

// Digest implements File.
func (f *folderFile) Digest() tallyman.Digest {
	d, _ := f.digests.Get(f.Identity())
	return d
}

// Unchanged implements File.
func (f *folderFile) Unchanged(whole tallyman.Digest) bool {
	changed, err := f.Changed()
	if changed || err != nil {
		return false
	}
	if whole != "" {
		f.digests.Put(f.Identity(), whole, f.opened)
	}
	return true
}

// ReadAt implements io.ReaderAt.
func (f *folderFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	return n, refused(err)
}

// folderUpload is a file under its temporary name.
type folderUpload struct {
	*tree.Upload
	share *share
}

// Handle implements Upload.
func (u *folderUpload) Handle() string {
	id := u.Identity()
	return handle(id.Dev, id.Ino)
}

// Write implements io.Writer.
func (u *folderUpload) Write(p []byte) (int, error) {
	if err := u.share.grow(u.Size() + int64(len(p))); err != nil {
		return 0, err
	}
	n, err := u.Upload.Write(p)
	return n, refused(err)
}

// ReadAt implements io.ReaderAt.
func (u *folderUpload) ReadAt(p []byte, off int64) (int, error) {
	n, err := u.Upload.ReadAt(p, off)
	return n, refused(err)
}

// Sync implements Upload.
func (u *folderUpload) Sync() error { return refused(u.Upload.Sync()) }

// Commit implements Upload.
func (u *folderUpload) Commit() error {
	stored, err := u.Upload.Commit()
	if err != nil {
		u.share.giveBack()
		return refused(err)
	}
	u.share.settle(stored.Gone)
	return nil
}

// Abort implements Upload.
func (u *folderUpload) Abort() {
	u.Upload.Abort()
	u.share.giveBack()
}
