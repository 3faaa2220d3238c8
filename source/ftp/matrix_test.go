package ftp

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman"
)

// upload begins an upload onto an old file, and has sent a part of it when it returns.
func (r *rig) upload(name string) (*client, *net.TCPConn) {
	r.t.Helper()
	r.put(name, "the old file")
	c := r.login()
	d := c.data()
	c.cmd(150, "STOR "+name)
	if _, err := d.Write(noise(300_000)); err != nil {
		r.t.Fatal(err)
	}
	return c, d
}

// old fails unless the old file stands, alone.
func (r *rig) old(name string) {
	r.t.Helper()
	if got, _ := r.holds(name); got != "the old file" {
		r.t.Errorf("%s holds %d bytes", name, len(got))
	}
	r.clean()
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func TestAnUploadThatIsCutLeavesTheOldFile(t *testing.T) {
	f := func(what string, cut func(*client, *net.TCPConn), reason tallyman.Reason) {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := serve(t, nil)
			c, d := r.upload("f")
			cut(c, d)
			if e := r.rec.ended(t, "f"); e.Reason != reason || e.Op != tallyman.OpPut {
				t.Errorf("%s (%s)", e.Reason, e.Err)
			}
			r.old("f")
		})
	}
	f("data reset", func(c *client, d *net.TCPConn) { reset(d); c.want(426); c.cmd(200, "NOOP") }, tallyman.ClientGone)
	f("ABOR", func(c *client, _ *net.TCPConn) { c.send("ABOR"); c.want(426); c.want(226); c.cmd(200, "NOOP") }, tallyman.ClientAbort)
	f("ABOR as Telnet says", func(c *client, _ *net.TCPConn) {
		raw, err := c.tcp.SyscallConn()
		if err != nil {
			c.t.Fatal(err)
		}
		_ = raw.Write(func(fd uintptr) bool { // urgent up to DM (RFC 959, 4.1.3)
			err = syscall.Sendto(int(fd), []byte("\xff\xf4\xff\xf2"), syscall.MSG_OOB, nil)
			return true
		})
		if err != nil {
			c.t.Fatal(err)
		}
		c.send("ABOR")
		c.want(426)
		c.want(226)
	}, tallyman.ClientAbort)
	f("control FIN", func(c *client, _ *net.TCPConn) { _ = c.tcp.Close() }, tallyman.ControlLost)
	f("control reset", func(c *client, _ *net.TCPConn) { reset(c.tcp) }, tallyman.ControlLost)
	f("both closed, data first", func(c *client, d *net.TCPConn) { _ = d.Close(); _ = c.tcp.Close() }, tallyman.ControlLost)
	f("both closed, control first", func(c *client, d *net.TCPConn) { _ = c.tcp.Close(); _ = d.Close() }, tallyman.ControlLost)
	f("control ends while data goes on", func(c *client, d *net.TCPConn) {
		_ = c.tcp.Close()
		_ = d.SetDeadline(time.Now().Add(patience))
		for { // the server breaks it off
			if _, err := d.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}, tallyman.ControlLost)
}

func TestSilenceOnTheDataConnectionEndsTheTransfer(t *testing.T) {
	r := serve(t, func(c *Config) { c.Stall = 800 * time.Millisecond; c.DataWait = 800 * time.Millisecond })
	c, _ := r.upload("f")
	c.want(426)
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.ClientSilent {
		t.Errorf("%+v", e)
	}
	r.old("f")
	r.rec.forget()
	c.passive()
	c.cmd(150, "RETR f")
	c.want(425)
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.Timeout {
		t.Errorf("%+v", e)
	}
	// Bytes one by one are no progress.
	r.rec.forget()
	d := c.data()
	c.cmd(150, "STOR f")
	trickled := make(chan struct{})
	go func() {
		defer close(trickled)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for _, err := d.Write([]byte("x")); err == nil; _, err = d.Write([]byte("x")) {
			<-tick.C
		}
	}()
	c.want(426)
	<-trickled
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.ClientSilent {
		t.Errorf("%+v", e)
	}
	r.old("f")
	r.put("large", strings.Repeat("x", 50<<20))
	d = c.data()
	c.cmd(150, "RETR large")
	c.want(426)
	if e := r.rec.ended(t, "large"); e.Reason != tallyman.ClientSilent || e.Moved >= 50<<20 {
		t.Errorf("%+v", e)
	}
	_ = d.Close()
}

func TestADownloadThatIsCutIsNotComplete(t *testing.T) {
	f := func(what string, cut func(*client, *net.TCPConn), reason tallyman.Reason) {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := serve(t, nil)
			r.put("large", strings.Repeat("x", 50<<20))
			c := r.login()
			d := c.data()
			c.cmd(150, "RETR large")
			if _, err := io.CopyN(io.Discard, d, 1<<20); err != nil {
				t.Fatal(err)
			}
			cut(c, d)
			if e := r.rec.ended(t, "large"); e.Reason != reason || e.Moved < 1<<20 || e.Moved >= 50<<20 {
				t.Errorf("%s (%s), %d bytes", e.Reason, e.Err, e.Moved)
			}
		})
	}
	f("data closed", func(c *client, d *net.TCPConn) { _ = d.Close(); c.want(426); c.cmd(200, "NOOP") }, tallyman.ClientGone)
	f("data reset", func(c *client, d *net.TCPConn) { reset(d); c.want(426) }, tallyman.ClientGone)
	f("ABOR", func(c *client, _ *net.TCPConn) { c.send("ABOR"); c.want(426); c.want(226) }, tallyman.ClientAbort)
	f("control FIN", func(c *client, _ *net.TCPConn) { _ = c.tcp.Close() }, tallyman.ControlLost)
}

// What fits into the kernel is sent at once, and the 226 with it: whether it was read shows afterwards.
func TestASmallDownloadThatIsNotReadIsNotComplete(t *testing.T) {
	r := serve(t, nil)
	r.put("small", strings.Repeat("x", 10_000))
	c := r.login()
	d := c.data()
	c.cmd(150, "RETR small")
	c.want(226)
	_ = d.Close() // with all of it unread: a reset
	if e := r.rec.ended(t, "small"); e.Reason != tallyman.ClientGone {
		t.Errorf("%+v", e)
	}
	d = c.data()
	c.cmd(150, "RETR small")
	reset(c.tcp)
	e := r.rec.await(t, "loss", func(e *tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed && e.Reason == tallyman.ControlLost
	})
	if e.Name != "small" {
		t.Errorf("%+v", e)
	}
	_ = d.Close()
}

func TestWhatIsAcknowledgedIsStoredAndRecordedFirst(t *testing.T) {
	r := serve(t, nil)
	var steps []string
	r.rec.onCommit = func(batch []tallyman.Evidence) error {
		_, there := r.holds("f")
		switch {
		case len(batch) == 0 && !there:
			steps = append(steps, "begun")
		case len(batch) == 1 && there && batch[0].Kind == tallyman.KindClosed && batch[0].Reason == tallyman.ReplyUnacknowledged && batch[0].Digest != "":
			steps = append(steps, "stored")
		default:
			steps = append(steps, "wrong")
		}
		return nil
	}
	c := r.login()
	if code := c.put("STOR f", "content"); code != 226 {
		t.Fatal(code)
	}
	if got := strings.Join(steps, " "); got != "begun stored" {
		t.Error(got)
	}
	r.rec.onCommit = func(batch []tallyman.Evidence) error {
		if len(batch) == 0 {
			return tallyman.ErrFull
		}
		return nil
	}
	if code := c.put("STOR g", "content"); code != 452 {
		t.Errorf("what cannot be recorded was answered with %d", code)
	}
	if _, there := r.holds("g"); there {
		t.Error("what cannot be recorded was stored")
	}
	if e := r.rec.ended(t, "g"); e.Reason != tallyman.DiskFull {
		t.Errorf("%+v", e)
	}
	r.clean()
}

func TestASessionThatEndsOwesNothing(t *testing.T) {
	r := serve(t, nil)
	c := r.login()
	if code := c.put("STOR f", "content"); code != 226 {
		t.Fatal(code)
	}
	_ = c.tcp.Close() // without QUIT, in order
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.ReplyAcknowledged {
		t.Errorf("%+v", e)
	}
	c = r.login()
	if code := c.put("STOR g", "content"); code != 226 {
		t.Fatal(code)
	}
	if e := r.rec.ended(t, "g"); e.Reason != tallyman.ReplyAcknowledged { // after a second of silence
		t.Errorf("%+v", e)
	}
}

func TestAResumedOrAppendedUploadIsWhole(t *testing.T) {
	r := serve(t, nil)
	r.put("f", "0123456789")
	c := r.login()
	c.cmd(350, "REST 4")
	if code := c.put("STOR f", "abc"); code != 226 {
		t.Fatal(code)
	}
	if got, _ := r.holds("f"); got != "0123abc" {
		t.Error(got)
	}
	if code := c.put("APPE f", "xyz"); code != 226 {
		t.Fatal(code)
	}
	if code := c.put("APPE new", "xyz"); code != 226 {
		t.Fatal(code)
	}
	if got, _ := r.holds("f"); got != "0123abcxyz" {
		t.Error(got)
	}
	c.cmd(350, "REST 4")
	if got := c.get("RETR f"); got != "abcxyz" {
		t.Error(got)
	}
	c.cmd(350, "REST 11")
	c.passive()
	c.cmd(554, "RETR f")
	c.cmd(350, "REST 11")
	c.passive()
	c.cmd(554, "STOR f")
	c.cmd(350, "REST 10")
	if got := c.get("RETR f"); got != "" {
		t.Error(got)
	}
	e := r.rec.await(t, "append", func(e *tallyman.Evidence) bool {
		return e.Op == tallyman.OpAppend && e.Kind == tallyman.KindClosed && e.Name == "f"
	})
	if e.Moved != 3 || e.Size != 10 || !strings.Contains(e.Details, `"offset":7`) || e.Digest == "" {
		t.Errorf("%+v", e)
	}
	// The one that is cut leaves what was there.
	d := c.data()
	c.cmd(150, "APPE f")
	if _, err := d.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	reset(d)
	c.want(426)
	if got, _ := r.holds("f"); got != "0123abcxyz" {
		t.Error(got)
	}
	r.clean()
}

// A client that breaks off may close its data connection first, and say ABOR then: an upload that does not have its name yet is not stored.
func TestAborWhileItIsStoredCounts(t *testing.T) {
	r := serve(t, nil)
	storing, goOn := make(chan struct{}), make(chan struct{})
	r.rec.onCommit = func(batch []tallyman.Evidence) error {
		if len(batch) == 0 {
			close(storing)
			<-goOn
		}
		return nil
	}
	c, d := r.upload("f")
	_ = d.Close()
	<-storing
	before := r.Counts().Commands
	c.send("ABOR")
	c.send("NOOP")
	for r.Counts().Commands < before+2 { // ABOR was heard when NOOP is
	}
	close(goOn)
	c.want(426)
	c.want(226)
	c.want(200)
	if e := r.rec.ended(t, "f"); e.Reason != tallyman.ClientAbort {
		t.Errorf("%+v", e)
	}
	r.old("f")
}
