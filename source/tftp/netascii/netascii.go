// Package netascii converts text between a Unix file and the netascii mode of
// TFTP (RFC 1350 section 1, which takes it from RFC 764 Telnet):
//
//	file  LF  ── Encoder ──>  CR LF   wire
//	file  CR  ── Encoder ──>  CR NUL  wire
//	file      <── Decoder ──          wire
//
// Both work on a stream that is cut anywhere, also between the two bytes of a
// pair, which is what block borders do. Encoding and then decoding gives back
// every file byte for byte. The room is pure; files and blocks it leaves to others.
package netascii

// Encoder turns file bytes into wire bytes. The zero Encoder stands at the start of a file.
type Encoder struct {
	second  byte // what must follow the CR that filled the last dst
	pending bool
}

// Encode fills dst with the wire form of src and returns how many bytes of
// each it went through. It stops when either is used up. A pair that did not fit
// is finished at the start of the next dst.
func (e *Encoder) Encode(dst, src []byte) (written, read int) {
	if e.pending && len(dst) > 0 {
		dst[0] = e.second
		e.pending = false
		written = 1
	}
	for written < len(dst) && read < len(src) {
		c := src[read]
		read++
		if c != '\n' && c != '\r' {
			dst[written] = c
			written++
			continue
		}
		dst[written] = '\r'
		written++
		second := byte('\n')
		if c == '\r' {
			second = 0
		}
		if written == len(dst) {
			e.second, e.pending = second, true
			break
		}
		dst[written] = second
		written++
	}
	return written, read
}

// Pending reports whether half a pair waits for the next dst: at the end of a
// file there is one more byte to send.
func (e *Encoder) Pending() bool { return e.pending }

// Decoder turns wire bytes into file bytes. The zero Decoder stands at the start of a file.
type Decoder struct {
	cr bool // the last byte was a CR whose meaning the next one tells
}

// Append appends the file form of src to dst: at most len(src)+1 bytes. A CR
// followed by neither LF nor NUL, which no sender should send, is kept as it is.
func (d *Decoder) Append(dst, src []byte) []byte {
	for _, c := range src {
		if d.cr {
			d.cr = false
			switch c {
			case '\n':
				dst = append(dst, '\n')
				continue
			case 0:
				dst = append(dst, '\r')
				continue
			}
			dst = append(dst, '\r')
		}
		if c == '\r' {
			d.cr = true
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// Finish appends what the end of the stream leaves open: a CR at the very end is kept.
func (d *Decoder) Finish(dst []byte) []byte {
	if d.cr {
		d.cr = false
		dst = append(dst, '\r')
	}
	return dst
}
