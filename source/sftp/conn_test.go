package sftp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestWhatIsReadAheadComesInOrder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := make([]byte, 3<<20)
	for i := range want {
		want[i] = byte(i ^ i>>8 ^ i>>16)
	}
	sent := make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = c.Write(want)
			err = errors.Join(err, c.Close())
		}
		sent <- err
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	srv := &Server{}
	srv.cfg.Idle = time.Minute
	lent := 0
	srv.bufs.New = func() any { lent++; b := make([]byte, 0, bigBuffer); return &b }
	w := srv.newConnection(nc, nil).raw
	w.free.Store(true)
	defer w.Close()
	var got bytes.Buffer
	for _, size := range []int{4096, 28680, 5} { // as the library asks
		for range 40 {
			p := make([]byte, size)
			n, err := w.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(p[:n])
		}
	}
	if _, err := io.Copy(&got, w); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes came, others than the %d that were sent", got.Len(), len(want))
	}
	if len(w.in) != 0 || lent == 0 {
		t.Errorf("%d bytes are left, memory was lent %d times", len(w.in), lent)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
