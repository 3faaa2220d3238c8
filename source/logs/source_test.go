package logs_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs"
	"tallyman/source/logs/format/entry"
)

// recorder keeps what is committed; it refuses as often as it is told to.
type recorder struct {
	mu      sync.Mutex
	refuse  int
	got     []tallyman.Evidence
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{}, 1)} }

func (r *recorder) Record(...tallyman.Evidence) { panic("evidence of logs is committed") }

func (r *recorder) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		return tallyman.ErrFull
	}
	r.got = append(r.got, batch...)
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return nil
}

func (r *recorder) all() []tallyman.Evidence {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tallyman.Evidence(nil), r.got...)
}

// wait returns when there are so many.
func (r *recorder) wait(t *testing.T, n int) []tallyman.Evidence {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if got := r.all(); len(got) >= n {
			return got
		}
		select {
		case <-r.changed:
		case <-deadline:
			t.Fatalf("only %d of %d: %+v", len(r.all()), n, r.all())
		}
	}
}

func start(t *testing.T, cfg logs.Config, r *recorder) (src *logs.Source, stop func()) {
	t.Helper()
	src, err := logs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx, r) }()
	return src, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func upload(n int) string {
	return fmt.Sprintf("Fri Nov 20 17:42:01 2026 [pid 26625] [u] OK UPLOAD: Client \"192.0.2.1\", \"/up%d\", 6291456 bytes, 4185.70Kbyte/sec\n", n)
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsReadOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vsftpd.log")
	appendTo(t, path, upload(0)) // before the first start: not ours to tell
	cfg := logs.Config{State: t.TempDir(), Host: "vm", Files: []logs.File{{Path: path}}, Zone: time.FixedZone("", 3600)}
	r := newRecorder()
	place := filepath.Join(cfg.State, "logs", "*.json")
	for round := range 3 {
		_, stop := start(t, cfg, r)
		if round == 0 { // the first place is the end of the file
			for files := []string(nil); len(files) == 0; files, _ = filepath.Glob(place) {
				runtime.Gosched()
			}
		}
		appendTo(t, path, upload(1+2*round))
		r.wait(t, 1+2*round)
		stop()
		appendTo(t, path, upload(2+2*round))
	}
	_, stop := start(t, cfg, r)
	got := r.wait(t, 6)
	stop()
	for i, e := range got {
		want := fmt.Sprintf("/up%d", i+1)
		if e.Path != want || e.Time != time.Date(2026, 11, 20, 16, 42, 1, 0, time.UTC) || e.Host != "vm" || !strings.Contains(e.Details, `"boundary":"text"`) {
			t.Errorf("%d: %+v, want %s", i, e, want)
		}
	}
	if len(got) != 6 {
		t.Errorf("%d", len(got))
	}
}

func TestWhatCouldNotBeStoredIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xfer.log")
	appendTo(t, path, upload(1)+upload(2)+"what is this\n")
	r := newRecorder()
	r.refuse = 1
	src, stop := start(t, logs.Config{State: t.TempDir(), Files: []logs.File{{Path: path, Format: "vsftpd", FromStart: true}}}, r)
	got := r.wait(t, 2)
	stop()
	if len(got) != 2 || got[0].Path != "/up1" || got[1].Path != "/up2" {
		t.Errorf("%+v", got)
	}
	refused := src.Refused()
	if len(refused) == 0 || refused[0].Raw != "what is this" || refused[0].Why == "" || refused[0].Input != path {
		t.Errorf("refused: %+v", refused)
	}
	if n := src.Counts()[logs.Count{Input: path, Why: refused[0].Why, Outcome: entry.Refused}]; n < 1 {
		t.Errorf("counted %d: %v", n, src.Counts())
	}
}

func TestSocketKeepsWhatCouldNotBeStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	r := newRecorder()
	r.refuse = 1
	_, stop := start(t, logs.Config{State: t.TempDir(), Host: "vm", Sockets: []string{path}}, r)
	var c net.Conn
	for c == nil {
		c, _ = net.Dial("unixgram", path)
	}
	defer c.Close()
	name := "a\nRRQ from 1.2.3.4 filename forged "
	if _, err := fmt.Fprintf(c, "<29>Nov 20 17:42:01 in.tftpd[7]: RRQ from 192.0.2.1 filename %s\n", name); err != nil {
		t.Fatal(err)
	}
	got := r.wait(t, 1)
	stop()
	if len(got) != 1 || got[0].Name != name || int(got[0].Proc.PID) != os.Getpid() || strings.Contains(got[0].Details, "boundary") || time.Since(got[0].Time) > time.Minute {
		t.Errorf("%+v", got)
	}
}

func TestHeldBackFailureIsToldAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path, "")
	r := newRecorder()
	_, stop := start(t, logs.Config{State: t.TempDir(), Files: []logs.File{{Path: path, FromStart: true}}}, r)
	appendTo(t, path, "2026-11-20T17:42:00+00:00 vm sshd[1]: Invalid user x from 192.0.2.1 port 5\n"+
		"2026-11-20T17:42:01+00:00 vm sshd[2]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.9 user=root\n")
	r.wait(t, 1)
	stop()
	if got := r.all(); len(got) != 2 || got[1].Kind != tallyman.KindLoginFailed || got[1].Peer.Addr().String() != "192.0.2.9" {
		t.Errorf("%+v", got)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	f := func(cfg logs.Config, want string) {
		t.Helper()
		if _, err := logs.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	f(logs.Config{Journal: true}, "folder")
	f(logs.Config{State: "/x"}, "no log")
	f(logs.Config{State: "/x", Files: []logs.File{{Path: "a.log"}}}, "whole path")
	f(logs.Config{State: "/x", Files: []logs.File{{Path: "/a.log", Format: "iis"}}}, `no format "iis"`)
	f(logs.Config{State: "/x", Sockets: []string{"log"}}, "whole path")
}
