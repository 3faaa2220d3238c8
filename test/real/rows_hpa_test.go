//go:build real

package real

import (
	"os"
	"path/filepath"
	"time"

	"tallyman"
)

// row is one line of the table of what can happen to a request to in.tftpd, and what has to be said of it.
type row struct {
	name    string
	what    string
	size    string            // of the server's file system, "" = that of the machine
	rules   string            // of the server's map
	prepare func(path string) // makes the file that is asked for
	play    func(p *player)
	log     int      // pieces of evidence by the log
	closes  int      // by the files
	want    []string // verdict and reason of each record, sorted
	note    string   // what its details say too
}

// content is a file of so many bytes, of nobody, with a mode.
func content(size int, mode os.FileMode) func(path string) {
	return func(path string) {
		must(os.WriteFile(path, noise(uint64(size), size), 0o600))
		must(os.Chown(path, 65534, 65534))
		must(os.Chmod(path, mode))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func nothing(string) {}

// vanish keeps the socket, so that no ICMP says that the client is gone; it is closed when all rows have ended.
func vanish(*talker) {}

func hpaRows() []row {
	old := content(2000, 0o666)
	return []row{
		{name: "R1", what: "read done", prepare: content(3000, 0o644), log: 1, closes: 1, want: []string{"complete final-ack"}, play: func(p *player) {
			p.ask(opRead).get(1)
		}},
		{name: "R2", what: "reader vanishes", prepare: content(3000, 0o644), log: 1, closes: 1, want: []string{"failed client-silent"}, play: func(p *player) {
			c := p.ask(opRead)
			c.expect(opData, 1)
			vanish(c)
		}},
		{name: "R3", what: "reader dies", prepare: content(3000, 0o644), log: 2, closes: 1, want: []string{"failed client-gone"}, play: func(p *player) {
			c := p.ask(opRead)
			c.expect(opData, 1)
			c.Close()
		}},
		{name: "R4", what: "reader sends ERROR 3", prepare: content(3000, 0o644), log: 1, closes: 1, want: []string{"aborted client-error"}, play: func(p *player) {
			c := p.ask(opRead)
			c.expect(opData, 1)
			c.send(opAck, 1, nil)
			c.expect(opData, 2)
			c.send(opError, 3, []byte("full\x00"))
		}},
		{name: "R5", what: "all data, no last ACK", prepare: content(3000, 0o644), log: 1, closes: 1, want: []string{"unproven delivered-unconfirmed"}, play: func(p *player) {
			c := p.ask(opRead)
			for block := 1; block < 6; block++ {
				c.expect(opData, block)
				c.send(opAck, block, nil)
			}
			c.expect(opData, 6)
			vanish(c)
		}},
		{name: "R5b", what: "the same, and the reader dies", prepare: content(3000, 0o644), log: 2, closes: 1, want: []string{"unproven delivered-unconfirmed"}, play: func(p *player) {
			c := p.ask(opRead)
			for block := 1; block < 6; block++ {
				c.expect(opData, block)
				c.send(opAck, block, nil)
			}
			c.expect(opData, 6)
			c.Close()
		}},
		{name: "R6", what: "PXE size probe", prepare: content(3000, 0o644), log: 2, closes: 1, want: []string{"probe size-probe"}, play: func(p *player) {
			c := p.ask(opRead, "tsize", "0")
			c.expect(opOack, -1)
			c.send(opError, 8, []byte("only the size\x00"))
		}},
		{name: "R7", what: "not world-readable", prepare: content(3000, 0o640), log: 2, closes: 1, want: []string{"refused not-readable"}, play: func(p *player) {
			p.ask(opRead).expect(opError, 2)
		}},
		{name: "R8", what: "missing file", prepare: nothing, log: 2, want: []string{"refused not-found"}, play: func(p *player) {
			p.ask(opRead).expect(opError, 1)
		}},
		{name: "R9", what: "two readers of one file, one sends ERROR", prepare: content(3000, 0o644), log: 2, closes: 2, want: []string{"aborted client-error", "complete final-ack"}, play: func(p *player) {
			a, b := p.ask(opRead), p.ask(opRead)
			a.expect(opData, 1)
			b.expect(opData, 1)
			a.send(opError, 0, []byte("no\x00"))
			b.send(opAck, 1, nil)
			b.get(2)
		}},
		{name: "R11", what: "RRQ sent twice, same port", prepare: content(3000, 0o644), log: 3, closes: 2, want: []string{"complete final-ack"}, play: func(p *player) {
			c := p.ask(opRead)
			c.request(opRead)
			c.get(1)
			c.Close()
		}},
		{name: "M1", what: "remapped name", rules: "r ^.*$ real-\\0\n", prepare: func(path string) {
			content(3000, 0o644)(filepath.Join(filepath.Dir(path), "real-"+filepath.Base(path)))
		}, log: 1, closes: 1, want: []string{"complete final-ack"}, play: func(p *player) {
			p.ask(opRead).get(1)
		}},
		{name: "M2", what: "map denies", rules: "a .\n", prepare: content(3000, 0o644), log: 1, want: []string{"refused remap-denied"}, play: func(p *player) {
			p.ask(opRead).expect(opError, -1)
		}},
		{name: "M3", what: "symlink in the root", prepare: func(path string) {
			content(3000, 0o644)(filepath.Join(filepath.Dir(path), "target"))
			must(os.Symlink("target", path))
		}, log: 1, closes: 1, want: []string{"complete final-ack"}, play: func(p *player) {
			p.ask(opRead).get(1)
		}},
		{name: "W1", what: "upload done", prepare: nothing, log: 1, closes: 1, want: []string{"complete stored"}, play: func(p *player) {
			p.ask(opWrite).put(3000)
		}},
		{name: "W2", what: "uploader vanishes", prepare: nothing, log: 1, closes: 1, want: []string{"failed client-silent"}, play: func(p *player) {
			c := p.ask(opWrite)
			c.begin()
			vanish(c)
		}},
		{name: "W3", what: "uploader sends ERROR", prepare: old, log: 1, closes: 1, want: []string{"aborted client-error"}, play: func(p *player) {
			c := p.ask(opWrite)
			c.begin()
			c.send(opError, 0, []byte("no\x00"))
		}},
		{name: "W3b", what: "uploader dies", prepare: old, log: 2, closes: 1, want: []string{"failed client-gone"}, play: func(p *player) {
			c := p.ask(opWrite)
			c.begin()
			c.Close()
		}},
		{name: "W4", what: "disk full", size: "1m", prepare: nothing, log: 1, closes: 1, want: []string{"contradicted stored-short"}, play: func(p *player) {
			p.ask(opWrite).put(1500000)
		}},
		{name: "W5", what: "second WRQ while one runs", prepare: nothing, log: 2, closes: 2, want: []string{"complete stored", "failed dropped-locked"}, play: func(p *player) {
			p.locked(opWrite)
		}},
		{name: "W6", what: "RRQ while being uploaded", prepare: nothing, log: 2, closes: 2, want: []string{"complete stored", "failed dropped-locked"}, play: func(p *player) {
			p.locked(opRead)
		}},
		{name: "W7", what: "last ACK lost", prepare: nothing, log: 1, closes: 1, want: []string{"complete stored"}, note: `"note":"client-may-retry"`, play: func(p *player) {
			c := p.ask(opWrite)
			c.expect(opAck, 0)
			for block := 1; block <= 6; block++ {
				c.send(opData, block, make([]byte, min(512, 3000-(block-1)*512)))
				c.expect(opAck, block)
			}
			c.send(opData, 6, make([]byte, 3000-5*512)) // as if it had not come; the server acknowledges again if it is still there
		}},
		{name: "W8", what: "not world-writable", prepare: content(2000, 0o644), log: 2, closes: 1, want: []string{"refused not-writable"}, play: func(p *player) {
			p.ask(opWrite).expect(opError, -1)
		}},
		{name: "W8b", what: "the same, and of another user", prepare: func(path string) {
			must(os.WriteFile(path, noise(1, 2000), 0o644))
		}, log: 2, want: []string{"refused not-writable"}, play: func(p *player) {
			p.ask(opWrite).expect(opError, -1)
		}},
		{name: "W9", what: "empty upload", prepare: nothing, log: 1, closes: 1, want: []string{"complete stored"}, play: func(p *player) {
			p.ask(opWrite).put(0)
		}},
		{name: "W10", what: "tsize 3000, 700 sent, short block", prepare: nothing, log: 1, closes: 1, want: []string{"contradicted announced-size"}, play: func(p *player) {
			c := p.ask(opWrite, "tsize", "3000")
			c.expect(opOack, -1)
			c.send(opData, 1, make([]byte, 512))
			c.expect(opAck, 1)
			c.send(opData, 2, make([]byte, 188))
			c.expect(opAck, 2)
		}},
	}
}

// begin writes two blocks of an upload.
func (t *talker) begin() {
	t.expect(opAck, 0)
	for block := 1; block <= 2; block++ {
		t.send(opData, block, make([]byte, 512))
		t.expect(opAck, block)
	}
}

// locked begins an upload, asks for the same file again, waits until the second child has let go of it, and ends the upload.
func (p *player) locked(op byte) {
	a := p.ask(opWrite)
	a.expect(opAck, 0)
	p.ask(op)
	p.until("the second child lets go", func() bool {
		_ = a.SetReadDeadline(time.Now().Add(time.Millisecond))
		for b := make([]byte, 16); ; { // the server repeats its ACK meanwhile
			if _, _, err := a.ReadFromUDPAddrPort(b); err != nil {
				break
			}
		}
		for _, e := range p.evidence() {
			if e.Witness == "files" && e.Kind == tallyman.KindClosed && filepath.Dir(e.Path) == p.root {
				return true
			}
		}
		return false
	})
	a.send(opData, 1, make([]byte, 100))
	a.expect(opAck, 1)
}
