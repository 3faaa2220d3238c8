package ftp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/engine"
	"tallyman/tree"
	"tallyman/user"
)

// patience bounds each wait for an event in these tests.
const patience = 20 * time.Second

// memory is a Recorder that remembers.
type memory struct {
	mu       sync.Mutex
	all      []tallyman.Evidence
	news     chan struct{} // closed at the next evidence
	onCommit func([]tallyman.Evidence) error
}

func (m *memory) Record(batch ...tallyman.Evidence) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, batch...)
	close(m.news)
	m.news = make(chan struct{})
}

func (m *memory) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	if m.onCommit != nil {
		if err := m.onCommit(batch); err != nil {
			return err
		}
	}
	m.Record(batch...)
	return nil
}

// await waits for evidence that is wanted.
func (m *memory) await(t testing.TB, what string, wanted func(*tallyman.Evidence) bool) tallyman.Evidence {
	t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		for i := range m.all {
			if wanted(&m.all[i]) {
				defer m.mu.Unlock()
				return m.all[i]
			}
		}
		news := m.news
		m.mu.Unlock()
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("no %s within %s; there is\n%s", what, patience, m.told())
		}
	}
}

func (m *memory) told() string {
	var b strings.Builder
	for i := range m.all {
		e := &m.all[i]
		b.WriteString(e.Kind.String() + " " + e.Op.String() + " " + tallyman.Escape(e.Name) + " " + string(e.Reason) + " " + e.Err + " " + e.Details + "\n")
	}
	return b.String()
}

// ended waits for the last word on a transfer: an upload that is stored is first told as unproven.
func (m *memory) ended(t testing.TB, name string) tallyman.Evidence {
	t.Helper()
	return m.await(t, "end of "+name, func(e *tallyman.Evidence) bool {
		return (e.Kind == tallyman.KindClosed && e.Reason != tallyman.ReplyUnacknowledged || e.Kind == tallyman.KindRefusal) && e.Name == name
	})
}

// event waits for evidence that stands alone.
func (m *memory) event(t testing.TB, kind tallyman.Kind, reason tallyman.Reason) tallyman.Evidence {
	t.Helper()
	return m.await(t, kind.String(), func(e *tallyman.Evidence) bool { return e.Kind == kind && e.Reason == reason })
}

// forget begins anew.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = nil
}

// people are accounts with the password "secret".
type people map[string]Account

var errWrong = errors.New("wrong")

func (p people) Login(_ context.Context, user, password string, _ netip.Addr, _ bool) (Account, error) {
	a, ok := p[user]
	if !ok || password != "secret" && user != "anonymous" {
		return Account{}, errWrong
	}
	a.Name = user
	return a, nil
}

// rig is a server on loopback with a folder.
type rig struct {
	t     testing.TB
	root  string
	rec   *memory
	addr  string
	tls   string // implicit
	stop  context.CancelFunc
	shut  atomic.Bool // nobody may connect
	book  *user.Book  // of withAccounts, and its file
	users string
	*Server
}

// serve starts a server whose accounts are anonymous, who reads, and tally.
func serve(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	return serveTo(t, change, nil)
}

// serveTo does so for other accounts, if accounts is not nil.
func serveTo(t testing.TB, change func(*Config), accounts func(*tree.Tree) Accounts) *rig {
	t.Helper()
	r := &rig{t: t, root: t.TempDir(), rec: &memory{news: make(chan struct{})}}
	tr, err := tree.Open(r.root, tree.Config{})
	if err != nil {
		t.Fatal(err)
	}
	folder := func(rights user.Right) *Folder {
		return &Folder{
			Tree: tr, Digests: tree.NewDigests(100), Policy: func() Policy { return Policy{Write: true, Mode: tree.Overwrite} },
			May: func(_ string, asked user.Right) bool { return rights&asked == asked },
		}
	}
	cfg := Defaults()
	cfg.Listen, cfg.Ports.First, cfg.Ports.Last, cfg.TLS = "127.0.0.1:0", 0, 0, engine.None
	cfg.Drain = time.Second
	if change != nil {
		change(&cfg)
	}
	var who Accounts = people{"anonymous": {Files: folder(user.Read | user.List)}, "tally": {Files: folder(user.All)}, "lax": {Files: folder(user.All), NoReuse: true}}
	if accounts != nil {
		who = accounts(tr)
	}
	gate := func(netip.Addr) (bool, string) { return !r.shut.Load(), "it is not in serve.ftp.allow" }
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if r.Server, err = Listen(ctx, cfg, who, gate, Identity{Host: "here"}, log); err != nil {
		cancel()
		t.Fatal(err)
	}
	r.stop = cancel
	r.addr = r.Addrs()[0].String()
	if a := r.Addrs(); len(a) > 1 {
		r.tls = a[1].String()
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, r.rec) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the server did not stop")
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// withTLS is a change of the configuration.
func withTLS(mode engine.TLS) func(*Config) {
	return func(c *Config) {
		c.TLS = mode
		pair := selfSigned()
		c.Certificate = func() (*tls.Certificate, error) { return &pair, nil }
		c.Implicit = "127.0.0.1:0"
	}
}

func selfSigned() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (r *rig) put(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// holds is the content of a file, "" and false when it is not there.
func (r *rig) holds(name string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(r.root, name))
	return string(b), err == nil
}

// clean fails when something temporary is left.
func (r *rig) clean() {
	r.t.Helper()
	entries, err := os.ReadDir(r.root)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tallyman-") {
			r.t.Errorf("%s is left", e.Name())
		}
	}
}

// noise is content that is not compressed by chance.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
