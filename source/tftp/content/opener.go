package content

import "tallyman"

// Opener opens files for requests that came together. When one asks for the
// file that the one before asked for, both read from one open file: all of them
// had come before it was opened, so that nobody gets an older file than he asked
// for. Machines that boot together ask for the same file together.
type Opener struct {
	files Files
	last  *shared
	name  string
}

// NewOpener opens from files.
func NewOpener(files Files) *Opener { return &Opener{files: files} }

// Open is Files.Open.
func (o *Opener) Open(name tallyman.Name) (File, error) {
	if o.last != nil && o.name == name.Path() {
		o.last.users++
		return o.last, nil
	}
	f, err := o.files.Open(name)
	if err != nil {
		return nil, err
	}
	o.Forget()
	o.last, o.name = &shared{File: f, users: 2}, name.Path()
	return o.last, nil
}

// Forget ends what came together.
func (o *Opener) Forget() {
	if o.last != nil {
		_ = o.last.Close()
		o.last = nil
	}
}

// shared is a file that stays open until all who use it have closed it: the
// readers, and the Opener for a while.
type shared struct {
	File
	users int
}

// Close ends one use.
func (s *shared) Close() error {
	s.users--
	if s.users > 0 {
		return nil
	}
	return s.File.Close()
}
