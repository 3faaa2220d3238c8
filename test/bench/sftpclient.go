package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/ssh"

	"tallyman/source/sftp/packet"
)

// sftpTalk is one SFTP session. It asks as the client of OpenSSH does: pieces of 32 KiB, up to 64 of them at once.
type sftpTalk struct {
	client *ssh.Client
	in     io.Writer
	out    io.Reader
	id     uint32
	buffer []byte
}

const (
	sftpPiece  = 32 << 10
	sftpAtOnce = 64
)

func dialSFTP(s *ftpSpec, i int, user string) (_ *sftpTalk, err error) {
	text, err := os.ReadFile(s.Key)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	c, err := dial(s.Server, i)
	if err != nil {
		return nil, err
	}
	cfg := &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()} // who the server is, is known
	cfg.Ciphers = []string{ssh.CipherAES128GCM}
	conn, channels, requests, err := ssh.NewClientConn(c, s.Server, cfg)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	t := &sftpTalk{client: ssh.NewClient(conn, channels, requests)}
	defer func() {
		if err != nil {
			t.drop()
		}
	}()
	session, err := t.client.NewSession()
	if err != nil {
		return nil, err
	}
	if t.in, err = session.StdinPipe(); err != nil {
		return nil, err
	}
	if t.out, err = session.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := session.RequestSubsystem("sftp"); err != nil {
		return nil, err
	}
	_, err = t.ask(packet.Request{Type: packet.Init, ID: 3}, packet.Version)
	return t, err
}

// ask sends one request and takes its answer.
func (t *sftpTalk) ask(q packet.Request, want byte) ([]byte, error) {
	if err := t.send(q); err != nil {
		return nil, err
	}
	return t.answer(want)
}

func (t *sftpTalk) send(q packet.Request) error {
	if q.Type != packet.Init {
		t.id++
		q.ID = t.id
	}
	t.buffer = q.Append(t.buffer[:0])
	_, err := t.in.Write(t.buffer)
	return err
}

// answer is what stands behind type and number of the next packet.
func (t *sftpTalk) answer(want byte) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(t.out, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	if _, err := io.ReadFull(t.out, b); err != nil {
		return nil, err
	}
	if head[4] != want || want == packet.Status && binary.BigEndian.Uint32(b[4:]) != 0 {
		return nil, fmt.Errorf("answer %d instead of %d: %q", head[4], want, b[:min(len(b), 100)])
	}
	return b[min(4, len(b)):], nil
}

func (t *sftpTalk) open(name string, flags uint32) (string, error) {
	b, err := t.ask(packet.Request{Type: packet.Open, Path: name, Flags: flags}, packet.Handle)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", name, err)
	}
	return string(b[4:]), nil
}

func (t *sftpTalk) get(name string, size int64) error {
	return t.move(name, size, packet.FlagRead, func(h string, at, n int64) (packet.Request, byte) {
		return packet.Request{Type: packet.Read, Handle: h, Offset: uint64(at), Length: uint32(n)}, packet.Data
	})
}

func (t *sftpTalk) put(name string, size int64) error {
	piece := make([]byte, sftpPiece)
	return t.move(name, size, packet.FlagWrite|packet.FlagCreate|packet.FlagTruncate, func(h string, at, n int64) (packet.Request, byte) {
		return packet.Request{Type: packet.Write, Handle: h, Offset: uint64(at), Data: piece[:n]}, packet.Status
	})
}

func (t *sftpTalk) move(name string, size int64, flags uint32, ask func(h string, at, n int64) (packet.Request, byte)) error {
	h, err := t.open(name, flags)
	if err != nil {
		return err
	}
	waiting := 0
	for at := int64(0); at < size || waiting > 0; {
		if at < size && waiting < sftpAtOnce {
			n := min(sftpPiece, size-at)
			q, _ := ask(h, at, n)
			if err := t.send(q); err != nil {
				return err
			}
			at, waiting = at+n, waiting+1
			continue
		}
		_, want := ask(h, 0, 0)
		if _, err := t.answer(want); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		waiting--
	}
	_, err = t.ask(packet.Request{Type: packet.Close, Handle: h}, packet.Status)
	return err
}

func (t *sftpTalk) quit() error { return nil }

func (t *sftpTalk) drop() { _ = t.client.Close() } // what was asked for was answered, or another error counts
