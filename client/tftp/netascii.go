package tftp

import (
	"bufio"
	"io"
)

// toNetascii reads text with LF lines and gives it with CR LF lines; a CR becomes CR NUL (RFC 764, as RFC 1350 cites it).
type toNetascii struct {
	from   *bufio.Reader
	second byte // of a pair that did not fit
	held   bool
}

func (n *toNetascii) Read(p []byte) (int, error) {
	i := 0
	for i < len(p) {
		if n.held {
			p[i], n.held = n.second, false
			i++
			continue
		}
		if i > 0 && n.from.Buffered() == 0 {
			return i, nil
		}
		c, err := n.from.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = c
		switch c {
		case '\n':
			p[i], n.second, n.held = '\r', '\n', true
		case '\r':
			n.second, n.held = 0, true
		}
		i++
	}
	return i, nil
}

// fromNetascii takes text with CR LF lines and passes it on with LF lines. A CR before anything else than LF and NUL stays.
type fromNetascii struct {
	to  io.Writer
	cr  bool // the last byte was a CR, whose second byte is still to come
	out []byte
}

func (n *fromNetascii) Write(p []byte) (int, error) {
	n.out = n.out[:0]
	for _, c := range p {
		switch {
		case n.cr && c == '\n':
			n.out, n.cr = append(n.out, '\n'), false
			continue
		case n.cr && c == 0:
			n.out, n.cr = append(n.out, '\r'), false
			continue
		case n.cr:
			n.out = append(n.out, '\r')
		}
		if n.cr = c == '\r'; !n.cr {
			n.out = append(n.out, c)
		}
	}
	if _, err := n.to.Write(n.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end passes on a CR that stood at the very end.
func (n *fromNetascii) end() error {
	if !n.cr {
		return nil
	}
	_, err := n.to.Write([]byte{'\r'})
	return err
}
