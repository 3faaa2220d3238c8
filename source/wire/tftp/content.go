package tftp

import (
	"encoding/hex"
	"hash"

	"tallyman"
	"tallyman/source/wire/digest"
)

// content hashes the blocks in their order: as they went over the wire and, in netascii, as they stand on the disk.
type content struct {
	wire    hash.Hash
	disk    hash.Hash // nil in octet mode
	decoded int64
	cr      bool // the block before ended in CR
	buf     []byte
}

func newContent(text bool, sum func() hash.Hash) *content {
	c := &content{wire: sum()}
	if text {
		c.disk = sum()
	}
	return c
}

// release gives back what is not summed.
func (c *content) release() {
	if c != nil {
		digest.Release(c.wire)
		if c.disk != nil {
			digest.Release(c.disk)
		}
	}
}

func (c *content) write(b []byte) {
	c.wire.Write(b)
	if c.disk == nil {
		return
	}
	c.buf = c.buf[:0]
	for _, x := range b {
		if c.cr {
			c.cr = false
			switch x {
			case '\n', 0: // RFC 764: CR LF is a new line, CR NUL a carriage return
				if x == 0 {
					x = '\r'
				}
				c.buf = append(c.buf, x)
				continue
			default:
				c.buf = append(c.buf, '\r')
			}
		}
		if x == '\r' {
			c.cr = true
			continue
		}
		c.buf = append(c.buf, x)
	}
	c.disk.Write(c.buf)
	c.decoded += int64(len(c.buf))
}

// end flushes a CR that nothing followed.
func (c *content) end() {
	if c.cr && c.disk != nil {
		c.disk.Write([]byte{'\r'})
		c.decoded++
		c.cr = false
	}
}

func digestOf(h hash.Hash) tallyman.Digest {
	return tallyman.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}
