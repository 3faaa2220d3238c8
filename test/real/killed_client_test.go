//go:build real

package real

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"time"
)

// ftpEnv makes the test program a client of FTP that dies, where it is told to, by its own hand: no timer hits a moment between two packets.
const ftpEnv = "TALLYMAN_REAL_FTP_CLIENT"

// errand is what such a client does.
type errand struct {
	Server string
	Port   int // its own, of the control connection; the next one is that of the data connection
	TLS    bool
	Verb   string // RETR, STOR, APPE
	Name   string
	Offset int // of REST
	Size   int // of an upload
	End    string
	At     int // bytes, for midway and slowly
}

// The ends of an errand. All but the first and the last kill the process with SIGKILL: the kernel closes its connections, as it does for a client that
// crashed.
const (
	quits   = ""        // says QUIT
	midway  = "midway"  // when At bytes have gone
	sent    = "sent"    // an upload: all is sent, the data connection is open. A download: the end of the data was read
	shut    = "shut"    // an upload: the data connection is closed, and the reply has not been read
	replied = "replied" // the reply was read
	stops   = "stops"   // says ABOR when At bytes have gone, and lives on
	slowly  = "slowly"  // says so when At bytes have gone, and goes on slowly
)

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// runErrand is the main function of the client.
func runErrand(text string) int {
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := e.run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s %s: %v\n", e.Verb, e.Name, err)
		return 1
	}
	return 0
}

func (e *errand) dial(to string, port int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}, Timeout: soon}
	return d.Dial("tcp4", to)
}

// dialogue is a control connection.
type dialogue struct {
	net.Conn
	r *textproto.Reader
}

func talk(c net.Conn) *dialogue { return &dialogue{c, textproto.NewReader(bufio.NewReader(sip{c}))} }

// sip reads byte by byte: what was not asked for stays in the kernel, and shows when the client dies.
type sip struct{ io.Reader }

func (s sip) Read(b []byte) (int, error) { return s.Reader.Read(b[:min(len(b), 1)]) }

func (d *dialogue) ask(code int, format string, arg ...any) (string, error) {
	line := fmt.Sprintf(format, arg...)
	if _, err := fmt.Fprintf(d, "%s\r\n", line); err != nil {
		return "", err
	}
	_, text, err := d.r.ReadResponse(code)
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	return text, nil
}

func (e *errand) run() error {
	c, err := e.dial(e.Server, e.Port)
	if err != nil {
		return err
	}
	d := talk(c)
	if _, _, err := d.r.ReadResponse(220); err != nil {
		return err
	}
	cfg := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4), ServerName: "ftp"}
	if e.TLS {
		if _, err := d.ask(234, "AUTH TLS"); err != nil {
			return err
		}
		d = talk(tls.Client(c, cfg))
	}
	steps := []struct {
		code int
		line string
	}{{331, "USER lu"}, {230, "PASS pw"}, {200, "TYPE I"}}
	if e.TLS {
		steps = append(steps, struct {
			code int
			line string
		}{200, "PBSZ 0"}, struct {
			code int
			line string
		}{200, "PROT P"})
	}
	for _, s := range steps {
		if _, err := d.ask(s.code, "%s", s.line); err != nil {
			return err
		}
	}
	return e.transfer(d, cfg)
}

func (e *errand) transfer(d *dialogue, cfg *tls.Config) error {
	var port int
	text, err := d.ask(229, "EPSV")
	if err == nil {
		_, err = fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "|||%d|", &port)
	}
	if err != nil {
		return err
	}
	if e.Offset > 0 {
		if _, err := d.ask(350, "REST %d", e.Offset); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(d, "%s %s\r\n", e.Verb, e.Name); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(e.Server)
	own := 0
	if e.Port != 0 {
		own = e.Port + 1
	}
	data, err := e.dial(net.JoinHostPort(host, fmt.Sprint(port)), own)
	if err != nil {
		return err
	}
	if _, _, err := d.r.ReadResponse(1); err != nil {
		return err
	}
	if e.TLS {
		data = tls.Client(data, cfg)
	}
	if err := e.move(data); errors.Is(err, errStop) {
		return e.stop(d, data)
	} else if err != nil {
		return err
	}
	if e.End == sent {
		die()
	}
	if t, ok := data.(*tls.Conn); ok && e.Verb != "RETR" { // who closes with unread words, as curl does with tickets, destroys what is still on its way
		if err := t.CloseWrite(); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, t)
	}
	if err := data.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	if e.End == shut {
		die()
	}
	if _, _, err := d.r.ReadResponse(226); err != nil {
		return err
	}
	if e.End == replied {
		die()
	}
	return d.quit()
}

var errStop = errors.New("stop")

// stop says ABOR, and goes on as soon as that was answered: the transfer by 426 or 226, the command by 225 or 226.
func (e *errand) stop(d *dialogue, data net.Conn) error {
	if _, err := fmt.Fprint(d, "ABOR\r\n"); err != nil {
		return err
	}
	_ = data.Close()
	return d.quit()
}

// quit says QUIT, and reads on until that is answered.
func (d *dialogue) quit() error {
	if _, err := fmt.Fprint(d, "QUIT\r\n"); err != nil {
		return err
	}
	for {
		code, _, err := d.r.ReadResponse(0)
		if code == 221 || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// move moves the content, piece by piece.
func (e *errand) move(data net.Conn) error {
	piece := noise(uint64(e.Size), 16<<10)
	moved, told := 0, false
	for {
		n := len(piece)
		var err error
		if e.Verb == "RETR" {
			n, err = data.Read(piece)
		} else if n = min(n, e.Size-moved); n > 0 {
			_, err = data.Write(piece[:n])
		} else {
			return nil
		}
		moved += n
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if moved < e.At {
			continue
		}
		switch e.End {
		case midway:
			die()
		case stops:
			return errStop
		case slowly:
			if !told {
				fmt.Println("there")
				told = true
			}
			<-time.After(10 * time.Millisecond)
		}
	}
}
