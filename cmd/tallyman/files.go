package main

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/acl"
	"tallyman/source/tftp"
	"tallyman/tree"
)

// settings are what a reload may change while transfers run.
type settings struct {
	allow   acl.List
	silent  bool // who may not ask gets no answer
	read    bool
	write   string // no, create, keep, overwrite
	maxSize int64
	minFree func(disk uint64) uint64
}

// served is a tree as the TFTP server sees it.
type served struct {
	tree    *tree.Tree
	digests *tree.Digests
	set     atomic.Pointer[settings]
}

// digestsKept bounds the memory of digests: about 200 bytes each.
const digestsKept = 65536

func newServed(t *tree.Tree, s *settings) *served {
	v := &served{tree: t, digests: tree.NewDigests(digestsKept)}
	v.set.Store(s)
	return v
}

// gate says who may ask.
func (v *served) gate(client netip.Addr) (ok bool, why string, silent bool) {
	s := v.set.Load()
	ok, why = s.allow.Allow(client)
	return ok, why, s.silent
}

// Open implements tftp.Files.
func (v *served) Open(name tallyman.Name) (tftp.File, error) {
	if !v.set.Load().read {
		return nil, &tftp.Refusal{Reason: tallyman.Policy, Text: "this server is write-only (serve.tftp.read is false)"}
	}
	f, err := v.tree.OpenRead(name)
	if err != nil {
		return nil, refused(err)
	}
	return &servedFile{File: f, of: v, opened: time.Now()}, nil
}

// Create implements tftp.Files.
func (v *served) Create(name tallyman.Name, announced int64, _ netip.Addr) (tftp.Upload, error) {
	s := v.set.Load()
	opt := tree.UploadOptions{MaxSize: s.maxSize, Announced: max(announced, 0)}
	switch s.write {
	case "keep":
		opt.Mode = tree.Keep
	case "create":
		opt.Mode = tree.Create
	case "overwrite":
		opt.Mode = tree.Overwrite
	default:
		return nil, &tftp.Refusal{Reason: tallyman.Policy, Text: "this server takes no uploads (serve.tftp.write is no)"}
	}
	if s.minFree != nil {
		disk, err := v.tree.DiskSize()
		if err != nil {
			return nil, refused(err)
		}
		opt.MinFree = int64(s.minFree(disk))
	}
	u, err := v.tree.Create(name, opt)
	if err != nil {
		return nil, refused(err)
	}
	return &servedUpload{Upload: u}, nil
}

// refused hands the reason of the tree on to the server.
func refused(err error) error {
	if r, ok := errors.AsType[*tree.Refusal](err); ok {
		return &tftp.Refusal{Reason: r.Reason, Text: r.Text}
	}
	return err
}

// servedFile is a file that is being read.
type servedFile struct {
	*tree.File
	of     *served
	opened time.Time
}

// Handle implements tftp.File.
func (f *servedFile) Handle() string {
	id := f.Identity()
	return handle(id.Dev, id.Ino)
}

// handle names a file on one host: device and inode.
func handle(dev, ino uint64) string {
	b := make([]byte, 0, 32)
	b = strconv.AppendUint(b, dev, 10)
	b = append(b, ':')
	return string(strconv.AppendUint(b, ino, 10))
}

// Digest implements tftp.File.
func (f *servedFile) Digest() tallyman.Digest {
	d, _ := f.of.digests.Get(f.Identity())
	return d
}

// Unchanged implements tftp.File.
func (f *servedFile) Unchanged(whole tallyman.Digest) bool {
	changed, err := f.Changed()
	if changed || err != nil {
		return false
	}
	if whole != "" {
		f.of.digests.Put(f.Identity(), whole, f.opened)
	}
	return true
}

// servedUpload is a file under its temporary name.
type servedUpload struct{ *tree.Upload }

// Handle implements tftp.Upload: the file keeps its inode when it gets its final name.
func (u *servedUpload) Handle() string {
	id := u.Identity()
	return handle(id.Dev, id.Ino)
}

// Commit implements tftp.Upload.
func (u *servedUpload) Commit() error {
	_, err := u.Upload.Commit()
	if err != nil {
		return refused(err)
	}
	return nil
}

// Write implements io.Writer.
func (u *servedUpload) Write(p []byte) (int, error) {
	n, err := u.Upload.Write(p)
	if err != nil {
		return n, refused(err)
	}
	return n, nil
}

// orphan looks at a transfer that was running when the program died. An upload whose file stands under its final name had been renamed, but its end
// is not on record; anything else ended with the server.
func orphan(host string, t *tallyman.Transfer, now time.Time) tallyman.Evidence {
	if e, foreign := unwatched(t, now); foreign {
		return e
	}
	e := tallyman.Unknown()
	e.Time, e.Host, e.Witness, e.Kind = tallyman.Clean(now), host, "server", tallyman.KindClosed
	e.Reason, e.Err = tallyman.ServerGone, "found at the next start"
	temporary := ""
	for i := range t.Evidence {
		v := &t.Evidence[i]
		e.Began, e.Proto, e.Op, e.Peer, e.Self, e.Name, e.Path = v.Began, v.Proto, v.Op, v.Peer, v.Self, v.Name, v.Path
		if v.File != "" {
			temporary = v.File
		}
	}
	if t.Op.Direction() == "upload" && temporary != "" {
		if id, err := tree.Identify(t.Path); err == nil && handle(id.Dev, id.Ino) == temporary {
			e.Reason, e.Size, e.File = tallyman.InGap, id.Size, temporary
			e.Err = "found whole at the next start: the server died after it had stored the file and before it had recorded it"
		}
	}
	return e
}

// unwatched ends a transfer of somebody else's server that ran when nobody looked any more: that server lived on, and how it went is not known. The
// witness who would have seen the end says so. It reports false for transfers of our own server.
func unwatched(t *tallyman.Transfer, now time.Time) (e tallyman.Evidence, foreign bool) {
	rank := func(v *tallyman.Evidence) int {
		return slices.Index([]string{"log", "files", "wire", "server"}, v.Witness)
	}
	var last *tallyman.Evidence
	for i := range t.Evidence {
		if v := &t.Evidence[i]; last == nil || rank(v) >= rank(last) {
			last = v
		}
	}
	if last == nil || rank(last) < 0 || last.Witness == "server" {
		return e, false
	}
	e = *last
	e.ID, e.Raw, e.Digest, e.Details, e.Seen = tallyman.ID{}, "", "", "", time.Time{}
	e.Time, e.Kind, e.Reason = tallyman.Clean(now), tallyman.KindClosed, tallyman.InGap
	e.Size, e.Err = -1, "it ran when the program that watched it ended"
	return e, true
}
