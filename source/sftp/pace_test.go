package sftp

import (
	"encoding/binary"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
	"tallyman/source/sftp/packet"
)

func TestARequestThatTricklesIsGivenUp(t *testing.T) {
	f := func(what string, each int, every, between time.Duration, ends bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			gone := false
			p := &pace{from: r, stall: time.Minute, giveUp: func() { gone = true; _ = r.Close() }}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 20 {
					for range 8 << 10 / each {
						if _, err := w.Write(make([]byte, each)); err != nil {
							return
						}
						<-time.After(every)
					}
					<-time.After(between)
				}
				_ = w.Close()
			}()
			head := make([]byte, 1)
			for {
				if _, err := io.ReadFull(p, head); err != nil {
					break
				}
				p.begin()
				_, err := io.ReadFull(p, make([]byte, 8<<10-1))
				p.end()
				if err != nil {
					break
				}
			}
			_ = r.Close()
			<-done
			if gone != ends {
				t.Errorf("%s: given up is %t", what, gone)
			}
		})
	}
	f("a modem", 1<<10, 50*time.Second, 0, false)
	f("someone who thinks for an hour between two requests", 8<<10, 0, time.Hour, false)
	f("a byte now and then", 1, 50*time.Second, 0, true)
	f("not quite enough", 1<<9, 50*time.Second, 0, true)
}

// The least rate is that of what a request has begun to send, over a real connection.
func TestAnUploadThatTricklesEndsAsSilent(t *testing.T) {
	r := serve(t, "", func(c *Config) { c.Stall = 300 * time.Millisecond })
	c := r.dial()
	h := c.open("f", fresh)
	c.write(h, 0, "half")
	whole := (&packet.Request{Type: packet.Write, ID: 9, Handle: h, Offset: 4, Data: make([]byte, packet.MaxData)}).Append(nil)
	if binary.BigEndian.Uint32(whole) < leastIn {
		t.Fatal("it is too small")
	}
	if _, err := c.ch.Write(whole[:100]); err != nil {
		t.Fatal(err)
	}
	r.ends(tallyman.OpPut, "f", tallyman.ClientSilent, 4)
	if kind, _ := c.receive(); kind != 0 {
		t.Errorf("type %d", kind)
	}
}
