package ftp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"strconv"
	"time"

	"tallyman"
	"tallyman/source/ftp/engine"
	"tallyman/source/ftp/listing"
)

// uniqueTries bounds how many names STOU tries.
const uniqueTries = 1000

// prepare opens what is to move.
func (v *session) prepare(now time.Time, o engine.Open) {
	v.open = o
	var out engine.Opened
	var err error
	switch o.Op {
	case tallyman.OpGet:
		out, err = v.prepareRead(o)
	case tallyman.OpList:
		out = engine.Opened{Path: v.account.Files.Path(o.Name), Size: -1}
		v.list, err = v.listed(o, now)
	default:
		out, err = v.prepareWrite(o)
	}
	if err != nil {
		out.Err = refusalOf(err)
	}
	v.m.Opened(time.Now(), out)
}

func (v *session) prepareRead(o engine.Open) (engine.Opened, error) {
	f, err := v.account.Files.Open(o.Name)
	if err != nil {
		return engine.Opened{}, err
	}
	if o.Offset > f.Size() {
		_ = f.Close() // it was only read
		return engine.Opened{}, &Refusal{Reason: tallyman.BadRequest, Text: "REST " + strconv.FormatInt(o.Offset, 10) + " is beyond the end, " + strconv.FormatInt(f.Size(), 10)}
	}
	v.file = f
	return engine.Opened{Path: f.Path(), Handle: f.Handle(), Size: f.Size()}, nil
}

func (v *session) prepareWrite(o engine.Open) (engine.Opened, error) {
	c := Creation{Announced: o.Announced, Offset: o.Offset, Unique: o.Unique, Client: v.rec.Client.Addr()}
	name, made := o.Name, ""
	u, err := v.account.Files.Create(name, c)
	for i := 1; o.Unique && err != nil && refusalOf(err).Reason == tallyman.Exists && i < uniqueTries; i++ {
		var bad error
		if name, bad = tallyman.ParseName(o.Name.Path() + "." + strconv.Itoa(i)); bad != nil {
			return engine.Opened{}, &Refusal{Reason: tallyman.BadRequest, Text: bad.Error()}
		}
		u, err = v.account.Files.Create(name, c)
	}
	if err != nil {
		return engine.Opened{}, err
	}
	if o.Unique {
		made = name.Path()
	}
	v.upload = u
	return engine.Opened{Path: u.Path(), Handle: u.Handle(), Size: u.Size(), Offset: u.Size(), Made: made}, nil
}

// listed writes a listing. Of a file LIST and NLST tell the one line; MLSD is for folders (RFC 3659, 7.2).
func (v *session) listed(o engine.Open, now time.Time) ([]byte, error) {
	at, err := v.account.Files.Stat(o.Name)
	if err != nil {
		return nil, err
	}
	out, prefix := []byte{}, o.Prefix
	all := []Info{at}
	switch {
	case at.Dir:
		if all, err = v.account.Files.List(o.Name); err != nil {
			return nil, err
		}
		if o.Form == engine.Entries {
			out = o.Facts.AppendEntry(out, &Info{Name: ".", Dir: true, Mode: at.Mode, Modified: at.Modified, ID: at.ID, May: at.May}, "cdir")
		}
	case o.Form == engine.Entries:
		return nil, &Refusal{Reason: tallyman.BadRequest, Text: "MLSD of a file"}
	case prefix != "":
		prefix = prefix[:max(len(prefix)-len(at.Name)-1, 0)]
	}
	for i := range all {
		if !listing.Listed(all[i].Name) || prefix != "" && !listing.Listed(prefix) {
			continue
		}
		switch o.Form {
		case engine.Long:
			out = listing.AppendLong(out, &all[i], now)
		case engine.Names:
			out = listing.AppendName(out, prefix, all[i].Name)
		case engine.Entries:
			out = o.Facts.AppendEntry(out, &all[i], "")
		}
	}
	return out, nil
}

// work does what concerns names.
func (v *session) work(d engine.Do) engine.Answer {
	files := v.account.Files
	a := engine.Answer{Path: files.Path(d.Name)}
	var err error
	switch d.Verb {
	case "CWD":
		a.Info, err = files.Stat(d.Name)
		if err == nil && !a.Info.Dir {
			err = &Refusal{Reason: tallyman.NotFound, Text: a.Path + " is no folder"}
		}
	case "SIZE", "MDTM":
		a.Info, err = files.Stat(d.Name)
		if err == nil && a.Info.Dir {
			err = &Refusal{Reason: tallyman.NotFound, Text: a.Path + " is a folder"}
		}
	case "AVBL":
		a.Info.Size, err = files.Available(d.Name)
	case "MLST", "RNFR":
		a.Info, err = files.Stat(d.Name)
	case "STAT":
		a.List, err = v.status(d.Name)
	case "MKD":
		err = files.Mkdir(d.Name)
	case "RMD":
		err = files.Rmdir(d.Name)
	case "DELE":
		err = files.Remove(d.Name)
	case "RNTO":
		a.To = files.Path(d.To)
		err = files.Rename(d.Name, d.To)
	case "MFMT":
		err = files.SetModified(d.Name, d.At)
	case "CHMOD":
		err = files.SetMode(d.Name, fs.FileMode(d.Mode))
	}
	if err != nil {
		a.Err = refusalOf(err)
	}
	return a
}

// status is the listing that STAT brings over the control connection.
func (v *session) status(name tallyman.Name) ([]string, error) {
	at, err := v.account.Files.Stat(name)
	if err != nil {
		return nil, err
	}
	all := []Info{at}
	if at.Dir {
		if all, err = v.account.Files.List(name); err != nil {
			return nil, err
		}
	}
	var out []string
	for i := range all {
		if line := listing.AppendLong(nil, &all[i], time.Now()); listing.Listed(all[i].Name) {
			out = append(out, string(line[:len(line)-2]))
		}
	}
	return out, nil
}

// reads is an io.Reader made of a function.
type reads func(p []byte) (int, error)

// Read implements io.Reader.
func (r reads) Read(p []byte) (int, error) { return r(p) }

// sum digests a file for HASH, until ctx ends.
func sum(ctx context.Context, files Files, name tallyman.Name) (size int64, hexadecimal string, err error) {
	f, err := files.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	if known := f.Digest(); known != "" {
		return f.Size(), string(known)[len("sha256:"):], nil
	}
	h, content := sha256.New(), io.NewSectionReader(f, 0, f.Size())
	whileWanted := reads(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return content.Read(p)
	})
	if _, err := io.Copy(h, whileWanted); err != nil {
		return 0, "", err
	}
	whole := digest(h)
	if !f.Unchanged(whole) {
		return 0, "", &Refusal{Reason: tallyman.IOError, Text: "the file changed while it was digested"}
	}
	return f.Size(), hex.EncodeToString(h.Sum(nil)), nil
}
