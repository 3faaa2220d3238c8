package sftp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"

	"tallyman"
	"tallyman/acl"
	"tallyman/source/sftp/packet"
	"tallyman/tree"
	"tallyman/user"
)

const pass = "correct horse"

// soon is how long a test waits for what must come at once.
const soon = 20 * time.Second

// notes is a Recorder that remembers.
type notes struct {
	mu     sync.Mutex
	list   []tallyman.Evidence
	synced int   // how many are on stable storage
	full   error // of Commit
	more   chan struct{}
	atSync func()
}

func (n *notes) Record(batch ...tallyman.Evidence) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, batch...)
	close(n.more)
	n.more = make(chan struct{})
}

func (n *notes) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	n.mu.Lock()
	full, at := n.full, n.atSync
	n.mu.Unlock()
	if at != nil {
		at()
	}
	if full != nil {
		return full
	}
	n.Record(batch...)
	n.mu.Lock()
	n.synced = len(n.list)
	n.mu.Unlock()
	return nil
}

// rig is a running server with one account, ann.
type rig struct {
	*testing.T
	root   string
	users  string
	book   *user.Book
	srv    *Server
	notes  *notes
	policy Policy
	host   ssh.Signer
	seen   map[int]bool
	closed atomic.Bool // the gate
	stop   context.CancelFunc
	ended  chan struct{}
}

// serve runs a server; account is what the file of accounts says of ann besides her password.
func serve(t *testing.T, account string, change func(*Config)) *rig {
	t.Helper()
	r := &rig{
		T: t, root: filepath.Join(t.TempDir(), "root"), users: filepath.Join(t.TempDir(), "users.yaml"), notes: &notes{more: make(chan struct{})},
		policy: Policy{Read: true, Write: true, MaxSize: 1 << 30}, seen: map[int]bool{},
	}
	if err := os.Mkdir(r.root, 0o755); err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(pass), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if account == "" {
		account = "permissions: all"
	}
	r.file(r.users, fmt.Sprintf("ann:\n  password: '%s'\n  %s\n", hash, strings.ReplaceAll(account, "\n", "\n  ")))
	trusted, err := acl.Parse([]string{"private"}, "users.never_ban")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.users, 0o600); err != nil {
		t.Fatal(err)
	}
	if r.book, err = user.Open(user.Config{File: r.users, Never: trusted, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if r.host, err = ssh.NewSignerFromKey(key); err != nil {
		t.Fatal(err)
	}
	tr, err := tree.Open(r.root, tree.Config{Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Listen, cfg.Keys, cfg.Host, cfg.Drain = "127.0.0.1:0", []ssh.Signer{r.host}, "lab", 5*time.Second
	if change != nil {
		change(&cfg)
	}
	root := &Root{Tree: tr, Digests: tree.NewDigests(100)}
	r.srv, err = Listen(cfg, Parts{
		Users: r.book, Root: func(*user.Account) (*Root, error) { return root, nil },
		Gate: func(a netip.Addr) (bool, string) { return !r.closed.Load(), a.String() + " is not in serve.sftp.allow" }, Policy: func() Policy { return r.policy },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		if err := r.srv.Run(ctx, r.notes); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		r.stop()
		<-r.ended
		_ = tr.Close()
	})
	return r
}

func (r *rig) file(path, content string) string {
	r.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.root, path)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		r.Fatal(err)
	}
	return path
}

func (r *rig) content(path string) string {
	b, err := os.ReadFile(filepath.Join(r.root, path))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// left lists the files below the root.
func (r *rig) left() string {
	var out []string
	_ = filepath.WalkDir(r.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(r.root, path)
			out = append(out, rel)
		}
		return nil
	})
	return strings.Join(out, " ")
}

// wait returns the next piece of evidence of that kind that no wait has returned yet.
func (r *rig) wait(kind tallyman.Kind) tallyman.Evidence {
	r.Helper()
	late := time.After(soon)
	for {
		r.notes.mu.Lock()
		more := r.notes.more
		for i := range r.notes.list {
			if e := r.notes.list[i]; e.Kind == kind && !r.seen[i] {
				r.seen[i] = true
				r.notes.mu.Unlock()
				return e
			}
		}
		list := r.notes.list
		r.notes.mu.Unlock()
		select {
		case <-more:
		case <-late:
			r.Fatalf("no %s: %+v", kind, list)
		}
	}
}

// ends checks the next end of a transfer.
func (r *rig) ends(op tallyman.Op, name string, reason tallyman.Reason, moved int64) tallyman.Evidence {
	r.Helper()
	e := r.wait(tallyman.KindClosed)
	if e.Op != op || e.Name != name || e.Reason != reason || e.Moved != moved || e.User != "ann" || e.Session == "" || e.Proto != "sftp" || !e.Peer.IsValid() {
		r.Errorf("got %s %q %s moved %d user %q session %q (%s), want %s %q %s moved %d", e.Op, e.Name, e.Reason, e.Moved, e.User, e.Session, e.Err, op, name, reason, moved)
	}
	return e
}

// client is a client that sends what it is told, packet by packet.
type client struct {
	*testing.T
	ssh *ssh.Client
	ch  ssh.Channel
	in  *bufio.Reader
	id  uint32
}

func (r *rig) config() *ssh.ClientConfig {
	return &ssh.ClientConfig{User: "ann", Auth: []ssh.AuthMethod{ssh.Password(pass)}, HostKeyCallback: ssh.FixedHostKey(r.host.PublicKey()), Timeout: soon}
}

func (r *rig) dial() *client {
	r.Helper()
	sc, err := ssh.Dial("tcp", r.srv.Addrs()[0].String(), r.config())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = sc.Close() })
	return r.session(sc)
}

func (r *rig) session(sc *ssh.Client) *client {
	r.Helper()
	ch, requests, err := sc.OpenChannel("session", nil)
	if err != nil {
		r.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ S string }{"sftp"})); !ok || err != nil {
		r.Fatalf("subsystem: %v, %v", ok, err)
	}
	c := &client{T: r.T, ssh: sc, ch: ch, in: bufio.NewReader(ch)}
	c.send(packet.Request{Type: packet.Init, ID: 3})
	if kind, _ := c.receive(); kind != packet.Version {
		r.Fatalf("type %d answers INIT", kind)
	}
	return c
}

func (c *client) send(q packet.Request) uint32 {
	c.Helper()
	if q.Type != packet.Init {
		c.id++
		q.ID = c.id
	}
	if _, err := c.ch.Write(q.Append(nil)); err != nil {
		c.Fatal(err)
	}
	return q.ID
}

// receive returns type and body of the next packet; 0 at the end.
func (c *client) receive() (byte, []byte) {
	c.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c.in, body); err != nil || len(body) < 5 {
		return 0, nil
	}
	return body[0], body[5:]
}

func (c *client) ask(q packet.Request) (byte, []byte) {
	c.Helper()
	c.send(q)
	return c.receive()
}

// says sends a request and wants a status.
func (c *client) says(q packet.Request, want packet.Code) {
	c.Helper()
	kind, body := c.ask(q)
	if kind != packet.Status || packet.Code(binary.BigEndian.Uint32(body)) != want {
		c.Errorf("type %d %q: got type %d %q, want status %d", q.Type, q.Path, kind, body, want)
	}
}

func (c *client) open(path string, flags uint32) string {
	c.Helper()
	kind, body := c.ask(packet.Request{Type: packet.Open, Path: path, Flags: flags})
	if kind != packet.Handle {
		c.Fatalf("open %s: type %d %q", path, kind, body)
	}
	return string(body[4:])
}

func (c *client) write(h string, at uint64, text string) {
	c.Helper()
	c.says(packet.Request{Type: packet.Write, Handle: h, Offset: at, Data: []byte(text)}, packet.OK)
}

func (c *client) closes(h string, want packet.Code) {
	c.Helper()
	c.says(packet.Request{Type: packet.Close, Handle: h}, want)
}

// read reads a whole file as a client does that asks until the end.
func (c *client) read(h string, each uint32) []byte {
	c.Helper()
	var out bytes.Buffer
	for {
		kind, body := c.ask(packet.Request{Type: packet.Read, Handle: h, Offset: uint64(out.Len()), Length: each})
		if kind != packet.Data {
			if kind != packet.Status || packet.Code(binary.BigEndian.Uint32(body)) != packet.EOF {
				c.Errorf("read ends with type %d %q", kind, body)
			}
			return out.Bytes()
		}
		out.Write(body[4:])
	}
}

const fresh = packet.FlagWrite | packet.FlagCreate | packet.FlagTruncate

// bare is a session without a connection, for the fuzzer.
func bare(t *testing.T) (*session, *notes, func()) {
	root := t.TempDir()
	tr, err := tree.Open(root, tree.Config{})
	if err != nil {
		t.Fatal(err)
	}
	to := &notes{more: make(chan struct{})}
	cfg := Defaults()
	srv := &Server{
		cfg: cfg, log: slog.New(slog.DiscardHandler), locks: locks{held: map[string]*lock{}},
		parts: Parts{Policy: func() Policy { return Policy{Read: true, Write: true, MaxSize: 1 << 20} }},
	}
	srv.bufs.New = func() any { b := make([]byte, 0, bigBuffer); return &b }
	c := srv.newConnection(nil, to)
	c.root = &Root{Tree: tr, Digests: tree.NewDigests(10)}
	c.login = user.Unbounded("ann")
	return newSession(c, nowhere{}), to, func() { _ = tr.Close() }
}
