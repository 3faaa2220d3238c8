package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// ftpClients is the argument that makes this program the process of the FTP clients.
const ftpClients = "ftp-clients"

// ftpSpec says what the clients do, all at once.
type ftpSpec struct {
	Server string
	Size   int64 // bytes of each file
	Gets   []string
	Puts   []string
}

// ftpResult is what they saw.
type ftpResult struct{ Elapsed time.Duration }

// runFTPClients does what the line that it reads says. A transfer that is not whole is an error.
func runFTPClients(in io.Reader, out io.Writer) error {
	var s ftpSpec
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	began := time.Now()
	errs := make([]error, len(s.Gets)+len(s.Puts))
	var all sync.WaitGroup
	for i, name := range s.Gets {
		all.Go(func() { errs[i] = s.transfer("RETR", name) })
	}
	for i, name := range s.Puts {
		all.Go(func() { errs[len(s.Gets)+i] = s.transfer("STOR", name) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(ftpResult{time.Since(began)})
}

// transfer logs in, moves one file in passive mode, and logs out.
func (s *ftpSpec) transfer(command, name string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", command, name, err)
		}
	}()
	c, err := net.Dial("tcp4", s.Server)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // QUIT was answered, or another error counts
	talk := textproto.NewConn(c)
	if _, _, err := talk.ReadResponse(220); err != nil {
		return err
	}
	say := func(code int, line string) (text string, err error) {
		if err = talk.PrintfLine("%s", line); err == nil {
			_, text, err = talk.ReadResponse(code)
		}
		return text, err
	}
	for _, step := range []struct {
		code int
		line string
	}{{331, "USER anonymous"}, {230, "PASS bench@"}, {200, "TYPE I"}} {
		if _, err := say(step.code, step.line); err != nil {
			return err
		}
	}
	text, err := say(227, "PASV")
	if err != nil {
		return err
	}
	var h [4]byte
	var high, low int
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "%d,%d,%d,%d,%d,%d", &h[0], &h[1], &h[2], &h[3], &high, &low); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	data, err := net.Dial("tcp4", fmt.Sprintf("%d.%d.%d.%d:%d", h[0], h[1], h[2], h[3], high<<8|low))
	if err != nil {
		return err
	}
	_, err = say(150, command+" "+name)
	if err == nil {
		err = s.move(command, data)
	}
	if err := errors.Join(err, data.Close()); err != nil {
		return err
	}
	if _, _, err := talk.ReadResponse(226); err != nil {
		return err
	}
	_, err = say(221, "QUIT")
	return err
}

func (s *ftpSpec) move(command string, data net.Conn) error {
	b := make([]byte, 1<<20)
	var n int64
	for n < s.Size || command == "RETR" {
		var m int
		var err error
		if command == "RETR" {
			m, err = data.Read(b)
		} else {
			m, err = data.Write(b[:min(int64(len(b)), s.Size-n)])
		}
		n += int64(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if n != s.Size {
		return fmt.Errorf("%d bytes of %d", n, s.Size)
	}
	return nil
}
