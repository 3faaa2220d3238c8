//go:build !race

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// TestKillAtEachOperationLosesNothingAcknowledgedByFTP is the sweep for uploads by FTP and FTPS: new, in the place of an old file, behind it (APPE), and from the
// middle of it (REST).
func TestKillAtEachOperationLosesNothingAcknowledgedByFTP(t *testing.T) {
	old := bytes.Repeat([]byte("old "), 1000)
	killAtEach(t, "of a new name", nil, byFTP(t, "STOR", 0, false))
	killAtEach(t, "of a name that stands there, under TLS", old, byFTP(t, "STOR", 0, true))
	killAtEach(t, "behind a file that stands there", old, byFTP(t, "APPE", len(old), false))
	killAtEach(t, "from the middle of a file, under TLS", old, byFTP(t, "STOR", 1500, true))
}

// byFTP stores with a verb; the file keeps so many bytes of the old one.
func byFTP(t *testing.T, verb string, keeps int, private bool) way {
	t.Helper()
	w := way{flags: []string{"--tftp", "", "--sftp", "", "--ftp", "127.0.0.1:0"}, good: "complete reply-acknowledged", weak: "unproven reply-unacknowledged", prepare: forAnn(t, keeps)}
	if private {
		w.good = "complete close-notify"
	}
	w.put = func(_ *testing.T, to netip.AddrPort, content []byte, _ <-chan struct{}) bool {
		before := []string{"TYPE I"}
		if verb == "STOR" && keeps > 0 {
			before = append(before, fmt.Sprint("REST ", keeps))
		}
		return putFTP(to, verb, before, content, private)
	}
	return w
}

// putFTP sends an upload and reports whether it was answered with 226. All else is a server that is dead.
func putFTP(to netip.AddrPort, verb string, before []string, content []byte, private bool) bool {
	tcp, err := net.DialTimeout("tcp", to.String(), 10*time.Second)
	if err != nil {
		return false
	}
	defer tcp.Close()
	_ = tcp.SetDeadline(time.Now().Add(10 * time.Second))
	c := &spoken{conn: tcp, in: textproto.NewReader(bufio.NewReader(tcp))}
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	ok := c.hears("220")
	if private {
		ok = ok && c.says("AUTH TLS", "234")
		t := tls.Client(tcp, cfg)
		c.conn, c.in = t, textproto.NewReader(bufio.NewReader(t))
	}
	ok = ok && c.says("USER ann", "331") && c.says("PASS correct horse", "230")
	if private {
		ok = ok && c.says("PBSZ 0", "200") && c.says("PROT P", "200")
	}
	for _, line := range before {
		ok = ok && (c.says(line, "200") || strings.HasPrefix(c.last, "350"))
	}
	if !ok || !c.says("EPSV", "229") {
		return false
	}
	var port int
	_, at, _ := strings.Cut(c.last, "(|||")
	if _, err := fmt.Sscanf(at, "%d|)", &port); err != nil {
		return false
	}
	raw, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 10*time.Second)
	if err != nil {
		return false
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	if !c.says(verb+" "+sweptName, "150") {
		return false
	}
	data := raw
	if private {
		data = tls.Client(raw, cfg)
	}
	if _, err := data.Write(content); err != nil {
		return false
	}
	if err := data.Close(); err != nil || !c.hears("226") {
		return false
	}
	c.says("NOOP", "200") // the client lives on
	return true
}

// spoken is a control connection.
type spoken struct {
	conn io.Writer
	in   *textproto.Reader
	last string
}

func (c *spoken) says(line, want string) bool {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return false
	}
	return c.hears(want)
}

func (c *spoken) hears(want string) bool {
	line, err := c.in.ReadLine()
	c.last = line
	return err == nil && strings.HasPrefix(line, want)
}
