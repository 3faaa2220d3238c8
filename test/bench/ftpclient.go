package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ftpClients is the argument that makes this program the process of the clients for accounts: FTP, FTPS, SFTP.
const ftpClients = "ftp-clients"

// What the clients do.
const (
	apiece   = ""         // each file in a session of its own, all at once
	series   = "series"   // all files in one session, one after the other
	sessions = "sessions" // many sessions log in, and then each moves Gets[0] and a file of its own
	logins   = "logins"   // sessions that log in and leave
)

// ftpSpec says what the clients do.
type ftpSpec struct {
	Mode           string
	Server         string
	User, Password string
	TLS            bool
	Key            string // of SFTP; "" is FTP
	Size           int64  // bytes of each file
	Gets           []string
	Puts           []string
	Users          []string // of the logins, in turn
	Sessions       int
	Workers        int

	retried *atomic.Int64
}

// ftpResult is what they saw.
type ftpResult struct {
	Elapsed time.Duration // of what was moved; of the logins where nothing is
	Login   time.Duration // until all were logged in
	CPU     time.Duration // of the clients while they moved
	Retried int64         // logins that the server broke off, and that were tried again
}

// talker is one session. It moves one file at a time.
type talker interface {
	get(name string, size int64) error
	put(name string, size int64) error
	quit() error
	drop()
}

// runFTPClients does what the line that it reads says. A transfer that is not whole is an error. In a series and in sessions it stops twice, before and
// after what is measured: it writes a line, and goes on when one comes back.
func runFTPClients(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s := ftpSpec{retried: new(atomic.Int64)}
	if err := json.Unmarshal(first, &s); err != nil {
		return err
	}
	gate := func() error {
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
		_, err := lines.ReadBytes('\n')
		return err
	}
	var result ftpResult
	switch s.Mode {
	case series:
		result, err = s.series(gate)
	case sessions:
		result, err = s.sessions(gate)
	case logins:
		result, err = s.logins()
	default:
		result, err = s.together()
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// consumed is the processor time of this process so far.
func consumed() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail (getrusage(2))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tries is how often a login is tried: under load vsftpd closes some connections without a word.
const tries = 5

func (s *ftpSpec) insist(i int, user string) (t talker, err error) {
	for range tries {
		if t, err = s.open(i, user); err == nil {
			return t, nil
		}
		s.retried.Add(1)
	}
	return nil, err
}

func (s *ftpSpec) open(i int, user string) (talker, error) {
	if s.Key != "" {
		t, err := dialSFTP(s, i, user)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	t, err := dialFTP(s, i, user)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (s *ftpSpec) together() (ftpResult, error) {
	began := time.Now()
	err := atOnce(len(s.Gets)+len(s.Puts), func(i int) error {
		t, err := s.open(i, s.User)
		if err != nil {
			return err
		}
		defer t.drop()
		if i < len(s.Gets) {
			err = t.get(s.Gets[i], s.Size)
		} else {
			err = t.put(s.Puts[i-len(s.Gets)], s.Size)
		}
		return errors.Join(err, t.quit())
	})
	return ftpResult{Elapsed: time.Since(began)}, err
}

func (s *ftpSpec) series(gate func() error) (r ftpResult, err error) {
	t, err := s.open(0, s.User)
	if err != nil {
		return r, err
	}
	defer t.drop()
	if err := gate(); err != nil {
		return r, err
	}
	began, before := time.Now(), consumed()
	for _, name := range s.Gets {
		if err := t.get(name, s.Size); err != nil {
			return r, err
		}
	}
	for _, name := range s.Puts {
		if err := t.put(name, s.Size); err != nil {
			return r, err
		}
	}
	r = ftpResult{Elapsed: time.Since(began), CPU: consumed() - before}
	return r, errors.Join(gate(), t.quit())
}

// mostWaiting is how many log in at the same moment: the queue of vsftpd holds 32, and who is beyond is reset.
const mostWaiting = 20

func (s *ftpSpec) sessions(gate func() error) (r ftpResult, err error) {
	of := make([]talker, s.Sessions)
	defer func() {
		for _, t := range of {
			if t != nil {
				t.drop()
			}
		}
	}()
	began := time.Now()
	waiting := make(chan struct{}, mostWaiting)
	if err := atOnce(s.Sessions, func(i int) (err error) {
		waiting <- struct{}{}
		of[i], err = s.insist(i, s.User)
		<-waiting
		return err
	}); err != nil {
		return r, err
	}
	r.Login = time.Since(began)
	if err := gate(); err != nil {
		return r, err
	}
	began, before := time.Now(), consumed()
	if err := atOnce(s.Sessions, func(i int) error {
		if err := of[i].put(fmt.Sprintf("%s%d", s.Puts[0], i), s.Size); err != nil {
			return err
		}
		return of[i].get(s.Gets[0], s.Size)
	}); err != nil {
		return r, err
	}
	r.Elapsed, r.CPU, r.Retried = time.Since(began), consumed()-before, s.retried.Load()
	return r, gate()
}

func (s *ftpSpec) logins() (ftpResult, error) {
	began := time.Now()
	work := make(chan string, len(s.Users))
	for _, user := range s.Users {
		work <- user
	}
	close(work)
	err := atOnce(s.Workers, func(int) error {
		for user := range work {
			t, err := s.insist(0, user)
			if err != nil {
				return err
			}
			t.drop()
		}
		return nil
	})
	return ftpResult{Elapsed: time.Since(began), Retried: s.retried.Load()}, err
}

func atOnce(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// dial connects from an address of its own: a server may bound what one address has.
func dial(server string, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%50))}, Timeout: time.Minute}
	return d.Dial("tcp4", server)
}

// ftpTalk is one control connection.
type ftpTalk struct {
	n       int
	conn    net.Conn
	talk    *textproto.Conn
	private *tls.Config
	buffer  []byte
}

func dialFTP(s *ftpSpec, i int, user string) (_ *ftpTalk, err error) {
	c, err := dial(s.Server, i)
	if err != nil {
		return nil, err
	}
	t := &ftpTalk{n: i, conn: c, talk: textproto.NewConn(c)}
	defer func() {
		if err != nil {
			t.drop()
		}
	}()
	if _, _, err := t.talk.ReadResponse(220); err != nil {
		return nil, err
	}
	if s.TLS {
		if _, err := t.say(234, "AUTH TLS"); err != nil {
			return nil, err
		}
		t.private = &tls.Config{InsecureSkipVerify: true, ServerName: "bench", ClientSessionCache: tls.NewLRUClientSessionCache(4)} // who the server is, is known
		over := tls.Client(c, t.private)
		t.conn, t.talk = over, textproto.NewConn(over)
		for _, line := range []string{"PBSZ 0", "PROT P"} {
			if _, err := t.say(200, line); err != nil {
				return nil, err
			}
		}
	}
	for _, step := range []struct {
		code int
		line string
	}{{331, "USER " + user}, {230, "PASS " + s.Password}, {200, "TYPE I"}} {
		if _, err := t.say(step.code, step.line); err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Fields(step.line)[0], err)
		}
	}
	return t, nil
}

func (t *ftpTalk) say(code int, line string) (text string, err error) {
	if err = t.talk.PrintfLine("%s", line); err == nil {
		_, text, err = t.talk.ReadResponse(code)
	}
	return text, err
}

func (t *ftpTalk) get(name string, size int64) error { return t.transfer("RETR", name, size) }
func (t *ftpTalk) put(name string, size int64) error { return t.transfer("STOR", name, size) }

func (t *ftpTalk) quit() error {
	_, err := t.say(221, "QUIT")
	return err
}

func (t *ftpTalk) drop() { _ = t.conn.Close() } // QUIT was answered, or another error counts

// transfer moves one file in passive mode.
func (t *ftpTalk) transfer(command, name string, size int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", command, name, err)
		}
	}()
	text, err := t.say(227, "PASV")
	if err != nil {
		return err
	}
	var h [4]byte
	var high, low int
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "%d,%d,%d,%d,%d,%d", &h[0], &h[1], &h[2], &h[3], &high, &low); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	data, err := dial(fmt.Sprintf("%d.%d.%d.%d:%d", h[0], h[1], h[2], h[3], high<<8|low), t.n)
	if err != nil {
		return err
	}
	if t.private != nil {
		data = tls.Client(data, t.private)
	}
	_, err = t.say(150, command+" "+name)
	if err == nil {
		err = t.move(command == "RETR", data, size)
	}
	if over, is := data.(*tls.Conn); is && err == nil && command == "STOR" {
		// Tickets of the server wait to be read: a close would reset the connection under what was sent.
		if err = over.CloseWrite(); err == nil {
			_, err = io.Copy(io.Discard, over)
		}
	}
	if err := errors.Join(err, data.Close()); err != nil {
		return err
	}
	_, _, err = t.talk.ReadResponse(226)
	return err
}

// biggest is the memory of one client: it reads and writes so much at once.
const biggest = 1 << 20

func (t *ftpTalk) move(get bool, data net.Conn, size int64) error {
	if want := int(min(size, biggest)) + 1; len(t.buffer) < want {
		t.buffer = make([]byte, want)
	}
	var n int64
	for n < size || get {
		var m int
		var err error
		if get {
			m, err = data.Read(t.buffer)
		} else {
			m, err = data.Write(t.buffer[:min(int64(len(t.buffer)), size-n)])
		}
		n += int64(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if n != size {
		return fmt.Errorf("%d bytes of %d", n, size)
	}
	return nil
}
