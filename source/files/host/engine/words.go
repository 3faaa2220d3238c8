package engine

import (
	"time"

	"tallyman"
	"tallyman/source/files/host/index"
)

// Deed is what an event tells, as bits without order.
type Deed uint8

// The deeds.
const (
	Create Deed = 1 << iota
	Delete
	Modify
	Close // of a descriptor that could write
	Attrib
	Rename
)

// Event is one event of the kernel. Folder and Name say where; of a rename From and FromName say where it was before.
type Event struct {
	At       time.Time
	PID      int32
	Deeds    Deed
	Dir      bool // it is about a folder
	Folder   index.Key
	Name     string
	From     index.Key
	FromName string
	Object   index.Key
	Handle   string // of the object, for Eyes
	// Elsewhere is the path at the other end of a rename that leads into or out of what is watched; empty if it is not known.
	Elsewhere string
}

// Eyes look at the disk.
type Eyes interface {
	// Object looks at an object by its handle. ok is false when it is gone for good.
	Object(handle string) (f index.Facts, ok bool)
	// Name looks at a path. ok is false when nothing is there.
	Name(path string) (k index.Key, f index.Facts, ok bool)
	// List looks at all in a folder, on its own file system alone. What vanishes meanwhile is left out.
	List(path string) ([]Entry, error)
}

// Entry is one name in a folder.
type Entry struct {
	Name  string
	Key   index.Key
	Facts index.Facts
	Over  bool // another file system is mounted over it: what lies under that is not seen
}

// How says how something came to be known.
type How uint8

// The ways.
const (
	Told   How = iota // by an event of the kernel
	Looked            // by looking at a name, because the kernel had merged events
	Found             // by a scan, after nobody had watched
)

// Seen is one thing that happened.
type Seen struct {
	At     time.Time
	Since  time.Time // of what was found: when it was surely not so yet
	How    How
	Op     tallyman.Op
	PID    int32 // 0: not known
	Path   string
	From   string // the former name; of a link the other one
	Object index.Key
	Facts  index.Facts
	Gone   bool // it was gone before it could be looked at: of the facts only the kind is known
}
