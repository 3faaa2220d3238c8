//go:build !race

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"tallyman/source/sftp/packet"
)

// TestKillAtEachOperationLosesNothingAcknowledgedBySFTP is the sweep for uploads by SFTP: new, in the place of an old file, and behind it.
func TestKillAtEachOperationLosesNothingAcknowledgedBySFTP(t *testing.T) {
	old := bytes.Repeat([]byte("old "), 1000)
	killAtEach(t, "of a new name", nil, bySFTP(t, packet.FlagWrite|packet.FlagCreate|packet.FlagTruncate, 0))
	killAtEach(t, "of a name that stands there", old, bySFTP(t, packet.FlagWrite|packet.FlagCreate|packet.FlagTruncate, 0))
	killAtEach(t, "behind a file that stands there", old, bySFTP(t, packet.FlagWrite|packet.FlagAppend, len(old)))
}

// bySFTP opens with these flags; the file keeps so many bytes of the old one.
func bySFTP(t *testing.T, flags uint32, keeps int) way {
	t.Helper()
	return way{
		flags: []string{"--tftp", "", "--ftp", "", "--sftp", "127.0.0.1:0"}, good: "complete closed", prepare: forAnn(t, keeps),
		put: func(_ *testing.T, to netip.AddrPort, content []byte, _ <-chan struct{}) bool {
			return putSFTP(to, flags, content)
		},
	}
}

// putSFTP sends an upload and reports whether its CLOSE was answered with success. All else is a server that is dead.
func putSFTP(to netip.AddrPort, flags uint32, content []byte) bool {
	c, err := ssh.Dial("tcp", to.String(), &ssh.ClientConfig{
		User: "ann", Auth: []ssh.AuthMethod{ssh.Password("correct horse")}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second,
	})
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		return false
	}
	go ssh.DiscardRequests(requests)
	if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ S string }{"sftp"})); !ok || err != nil {
		return false
	}
	in := bufio.NewReader(ch)
	ask := func(q packet.Request, want byte) (body []byte, ok bool) {
		if _, err := ch.Write(q.Append(nil)); err != nil {
			return nil, false
		}
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil, false
		}
		body = make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(in, body); err != nil || len(body) < 9 || body[0] != want {
			return nil, false
		}
		return body, true
	}
	if _, ok := ask(packet.Request{Type: packet.Init, ID: 3}, packet.Version); !ok {
		return false
	}
	body, ok := ask(packet.Request{Type: packet.Open, ID: 1, Path: "/" + sweptName, Flags: flags}, packet.Handle)
	if !ok {
		return false
	}
	handle := string(body[9:])
	for at := 0; at < len(content); at += 1000 {
		part := content[at:min(at+1000, len(content))]
		if _, ok := ask(packet.Request{Type: packet.Write, ID: 2, Handle: handle, Offset: uint64(at), Data: part}, packet.Status); !ok {
			return false
		}
	}
	body, ok = ask(packet.Request{Type: packet.Close, ID: 3, Handle: handle}, packet.Status)
	return ok && packet.Code(binary.BigEndian.Uint32(body[5:])) == packet.OK
}
