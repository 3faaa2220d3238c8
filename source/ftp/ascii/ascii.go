// Package ascii converts between lines of files (LF) and lines on an FTP connection of TYPE A (CR LF; RFC 959, 3.1.1.1), in pieces of any size. It is pure.
//
// It promises that what was encoded is decoded to the same, unless the file had CR LF itself: a CR before an LF is taken for part of the line end.
package ascii

import "bytes"

// Encoder turns LF into CR LF; an LF behind a CR stays. The zero Encoder begins a file.
type Encoder struct {
	cr      bool
	Changed bool // something was converted
}

// Append encodes a piece.
func (e *Encoder) Append(to, piece []byte) []byte {
	for len(piece) > 0 {
		i := bytes.IndexByte(piece, '\n')
		if i < 0 {
			e.cr = piece[len(piece)-1] == '\r'
			return append(to, piece...)
		}
		to = append(to, piece[:i]...)
		if i > 0 && piece[i-1] != '\r' || i == 0 && !e.cr {
			to = append(to, '\r')
			e.Changed = true
		}
		to = append(to, '\n')
		e.cr = false
		piece = piece[i+1:]
	}
	return to
}

// Decoder turns CR LF into LF. The zero Decoder begins a file.
type Decoder struct {
	cr      bool // a CR waits for what follows
	Changed bool // something was converted
}

// Append decodes a piece. A CR at its end waits.
func (d *Decoder) Append(to, piece []byte) []byte {
	for len(piece) > 0 {
		if d.cr {
			d.cr = false
			if piece[0] == '\n' {
				d.Changed = true
			} else {
				to = append(to, '\r')
			}
		}
		i := bytes.IndexByte(piece, '\r')
		if i < 0 {
			return append(to, piece...)
		}
		to = append(to, piece[:i]...)
		d.cr = true
		piece = piece[i+1:]
	}
	return to
}

// Finish gives what waits at the end of the file.
func (d *Decoder) Finish(to []byte) []byte {
	if d.cr {
		d.cr = false
		return append(to, '\r')
	}
	return to
}
