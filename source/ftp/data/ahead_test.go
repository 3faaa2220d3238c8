package data

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestWhatIsLittleComesBehindWhatWasMuch(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const many = 128 << 20
	more, leave, sent := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			sent <- err
			return
		}
		piece := make([]byte, 1<<20)
		for range many / len(piece) {
			if _, werr := c.Write(piece); werr != nil {
				err = errors.Join(err, werr)
			}
		}
		<-more
		_, werr := c.Write([]byte("little"))
		<-leave // the connection stays open meanwhile
		sent <- errors.Join(err, werr, c.Close())
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		t.Fatalf("%T", nc)
	}
	c := Plain(tcp, 10*time.Second)
	defer c.Close()
	raised := false
	p := make([]byte, 256<<10)
	for got := 0; got < many+len("little"); {
		n, err := c.Read(p)
		if got += n; err != nil {
			t.Fatalf("%v after %d bytes", err, got)
		}
		if raised = raised || c.raised; got == many {
			close(more)
		}
	}
	if !raised {
		t.Error("the kernel was never told to wait for much")
	}
	close(leave)
	if n, err := c.Read(p); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
