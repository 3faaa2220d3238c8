package sftp

import (
	"fmt"
	"io"

	"tallyman"
	"tallyman/client/remote"
)

// Sizes of OpenSSH where the server does not tell its own (limits@openssh.com).
const (
	usual    = 32 << 10  // bytes of one read or write that every server takes
	most     = 255 << 10 // bytes of one, if it takes more
	inFlight = 64        // requests without an answer, at most
	window   = 8 << 20   // bytes of all of them together
)

// wire sends requests and takes the replies in the order of the requests, whatever the order in which they come. It is for one goroutine.
type wire struct {
	in         io.Reader
	out        io.Writer
	next       uint32
	early      map[uint32]answer // came before their turn
	extensions map[string]string
	perRead    int
	perWrite   int
}

// greet agrees on version 3 and asks for limits.
func greet(in io.Reader, out io.Writer) (*wire, error) {
	w := &wire{in: in, out: out, early: map[uint32]answer{}, perRead: usual, perWrite: usual}
	if _, err := out.Write(request(fxInit, 3)); err != nil {
		return nil, err
	}
	a, err := w.read()
	if err == nil && (a.kind != fxVersion || a.id < 3) {
		err = remote.Ended(tallyman.Failed, tallyman.ServerError, "the server does not speak version 3 of SFTP")
	}
	if err != nil {
		return nil, err
	}
	w.extensions = a.extensions
	if _, ok := w.extensions["limits@openssh.com"]; ok {
		a, err := w.ask(fxExtended, "limits@openssh.com")
		if err != nil {
			return nil, err
		}
		if len(a.numbers) >= 3 { // packet, read, write; 0 is no limit
			w.perRead, w.perWrite = limit(a.numbers[1]), limit(a.numbers[2])
		}
	}
	return w, nil
}

func limit(n uint64) int {
	if n == 0 || n > most {
		return most
	}
	return int(n)
}

func (w *wire) read() (answer, error) {
	p, err := readPacket(w.in)
	if err != nil {
		return answer{}, remote.Ended(tallyman.Failed, tallyman.ServerGone, "the connection ended: %v", err)
	}
	a, err := parse(p)
	if err != nil {
		return a, remote.Ended(tallyman.Failed, tallyman.ServerError, "%v", err)
	}
	return a, nil
}

// send sends a request and returns its number.
func (w *wire) send(kind byte, parts ...any) (uint32, error) {
	w.next++
	_, err := w.out.Write(request(kind, w.next, parts...))
	if err != nil {
		err = remote.Ended(tallyman.Failed, tallyman.ServerGone, "the connection ended: %v", err)
	}
	return w.next, err
}

// wait returns the answer to a request.
func (w *wire) wait(id uint32) (answer, error) {
	for {
		if a, ok := w.early[id]; ok {
			delete(w.early, id)
			return a, nil
		}
		a, err := w.read()
		if err != nil {
			return a, err
		}
		if a.id == 0 || a.id > w.next || len(w.early) > inFlight {
			return a, remote.Ended(tallyman.Failed, tallyman.ServerError, "the server answers a request that was not made")
		}
		w.early[a.id] = a
	}
}

func (w *wire) ask(kind byte, parts ...any) (answer, error) {
	id, err := w.send(kind, parts...)
	if err != nil {
		return answer{}, err
	}
	return w.wait(id)
}

// open returns a handle.
func (w *wire) open(path string, flags uint32) (string, error) {
	a, err := w.ask(fxOpen, path, flags, uint32(0))
	if err == nil && a.kind != fxHandle {
		err = refused(a, flags&toWrite != 0)
	}
	return a.text, err
}

func (w *wire) fstat(handle string) (answer, error) {
	a, err := w.ask(fxFstat, handle)
	if err == nil && a.kind != fxAttrs {
		a.size = -1 // the server does not tell
	}
	return a, err
}

// good is an error unless a status says that it went well.
func good(a answer, act string) error {
	if a.kind == fxStatus && a.code == isOK {
		return nil
	}
	return remote.Ended(tallyman.Failed, tallyman.ServerError, "the server says %q to %s", a.said(), act)
}

// refused is the end of a transfer whose file could not be opened.
func refused(a answer, put bool) error {
	v, why := tallyman.Refused, tallyman.Policy
	switch {
	case a.kind != fxStatus:
		v, why = tallyman.Failed, tallyman.ServerError
	case a.code == isNoSuchFile:
		why = tallyman.NotFound
	case a.code == isDenied && put:
		why = tallyman.NotWritable
	case a.code == isDenied:
		why = tallyman.NotReadable
	case a.code == isUnsupported:
		why = tallyman.BadRequest
	}
	return remote.Ended(v, why, "the server says %q", a.said())
}

// piece is a part of a file that was asked for.
type piece struct {
	id uint32
	at int64
	n  int
}

// fetch reads a file from a place to its end, with many requests in flight.
func (w *wire) fetch(handle string, from int64, to io.Writer, stop func() error) error {
	var asked []piece
	depth, next := max(1, min(inFlight, window/w.perRead)), from
	for {
		for len(asked) < depth {
			id, err := w.send(fxRead, handle, uint64(next), uint32(w.perRead))
			if err != nil {
				return err
			}
			asked = append(asked, piece{id, next, w.perRead})
			next += int64(w.perRead)
		}
		p := asked[0]
		asked = asked[1:]
		a, err := w.wait(p.id)
		for err == nil && a.kind == fxData && len(a.data) > 0 && len(a.data) < p.n { // short: the rest is asked for before what follows
			if _, err = to.Write(a.data); err != nil {
				return remote.Local("store the content", err)
			}
			p.at, p.n = p.at+int64(len(a.data)), p.n-len(a.data)
			a, err = w.ask(fxRead, handle, uint64(p.at), uint32(p.n))
		}
		switch {
		case err != nil:
			return err
		case stop() != nil:
			return stop()
		case a.kind == fxStatus && a.code == isEOF:
			for _, p := range asked { // all lie behind the end
				if b, err := w.wait(p.id); err != nil {
					return err
				} else if b.kind != fxStatus || b.code != isEOF {
					return remote.Ended(tallyman.Contradicted, tallyman.AnnouncedSize, "the file of the server grew while it was read")
				}
			}
			return nil
		case a.kind != fxData || len(a.data) == 0 || len(a.data) > p.n:
			return good(a, fmt.Sprintf("READ at %d", p.at))
		}
		if _, err := to.Write(a.data); err != nil {
			return remote.Local("store the content", err)
		}
	}
}

// store writes what comes from a reader behind a place, with many requests in flight.
func (w *wire) store(handle string, at int64, from io.Reader, stop func() error) error {
	var sent []piece
	depth := max(1, min(inFlight, window/w.perWrite))
	p := make([]byte, w.perWrite)
	for done := false; !done || len(sent) > 0; {
		if stop() != nil {
			return stop()
		}
		if !done && len(sent) < depth {
			n, err := io.ReadFull(from, p)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				done = true
			} else if err != nil {
				return err
			}
			if n > 0 {
				id, err := w.send(fxWrite, handle, uint64(at), p[:n])
				if err != nil {
					return err
				}
				sent = append(sent, piece{id, at, n})
				at += int64(n)
			}
			continue
		}
		a, err := w.wait(sent[0].id)
		if err == nil {
			err = good(a, fmt.Sprintf("WRITE at %d", sent[0].at))
		}
		if err != nil {
			return err
		}
		sent = sent[1:]
	}
	return nil
}
