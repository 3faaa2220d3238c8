package ftp

import (
	"strings"
	"testing"
	"time"
)

// secret is so much of a TLS record that no handshake is as long.
var secret = "\x17\x03\x03" + strings.Repeat("x", 20000)

// hush is a session behind TLS, and a data connection that its server has announced.
func hush(t *testing.T) (k *talk, c, d *line) {
	k = newTalk(t)
	c = k.open(client, server)
	c.says(1, "220 hello\r\n")
	c.ask("AUTH TLS", "234 go").says(0, hello).says(1, hello).says(0, "\x17\x03\x03secret").says(1, "226 done\r\n").says(0, "STOR x\r")
	d = k.open("10.0.0.7:3000", "10.0.0.1:5000")
	d.says(0, hello).says(1, hello)
	return k, c, d
}

// up is a whole upload behind TLS, up to the server's reply.
func up(t *testing.T) (*talk, *line) {
	k, c, d := hush(t)
	d.says(0, secret).acks(1).fin(0).fin(1).acks(0)
	return k, c
}

func TestBehindTLSNothingIsClaimed(t *testing.T) {
	k, c := up(t)
	k.ends()
	c.says(1, "xxxxx").acks(0).says(0, "QUIT")
	k.ends("put closed closed-unproven -1")
	k.details(`"encrypted":true`, `"wire_bytes_up":20013`)
	if e := k.last(); e.Proto != "ftps" || e.Digest != "" || e.Name != "" {
		t.Errorf("%+v", e)
	}
	k, c = up(t)
	c.says(1, "xxxxx").fin(0)
	k.ends("put closed reply-unacknowledged -1")
}

func TestTheServerMayOpenADataConnectionBehindTLS(t *testing.T) {
	k := newTalk(t)
	c := second(k)
	c.acks(0)
	c.says(1, "200 PORT").acks(0)
	d := k.open("10.0.0.1:20", "10.0.0.7:4000")
	d.says(1, hello).says(0, hello).says(1, secret).acks(0).fin(1).fin(0).acks(1)
	c.says(1, "226 x").acks(0).says(0, "QUIT")
	k.ends("put closed closed-unproven -1")
	k.details(`"wire_bytes_up":20013`, `"wire_bytes_down":10`)
}

func TestAClientThatDiedBehindTLSIsLost(t *testing.T) {
	k, c := up(t)
	c.fin(0).says(1, "xxxxx").reset(0)
	k.ends("put closed control-lost -1")
	k, c = up(t)
	c.says(1, "xxxxx").acks(0).reset(0)
	k.wait(3 * time.Second).ends("put closed control-lost -1")
	// In the middle of its data.
	k, c, d := hush(t)
	d.says(0, secret).acks(1).reset(0)
	c.fin(0).fin(1)
	k.ends("put closed control-lost -1")
}

// What the server says before the last byte is no answer: 150, or what a reader cannot tell from it.
func TestWordsBeforeTheLastByteAreNoReply(t *testing.T) {
	k, c, d := hush(t)
	c.says(1, "150 go").acks(0)
	d.says(0, secret).acks(1)
	c.says(1, "marker").acks(0).says(0, "NOOP")
	d.says(0, secret).acks(1).fin(0).fin(1).acks(0)
	k.ends()
	c.reset(0)
	k.ends("put closed control-lost -1")
}

// The reply overtakes bytes that wait in the server's kernel.
func TestAReplyBeforeTheLastByteOfADownloadIsKnownByTheClientThatGoesOn(t *testing.T) {
	k, c, d := hush(t)
	d.says(1, secret).acks(0)
	c.says(1, "226 x").acks(0)
	d.says(1, secret).acks(0).fin(1).fin(0).acks(1)
	k.ends()
	c.says(0, "QUIT").reset(0)
	k.ends("get closed closed-unproven -1")
	// One that is killed says nothing more.
	k, c, d = hush(t)
	d.says(1, secret).acks(0)
	c.says(1, "226 x").acks(0)
	d.says(1, secret).acks(0).fin(1).fin(0).acks(1)
	c.reset(0)
	k.ends("get closed control-lost -1")
}

// second is one more session of the client behind TLS.
func second(k *talk) *line {
	b := k.open("10.0.0.7:2001", server)
	b.says(1, "220 hello\r\n")
	b.ask("AUTH TLS", "234 go").says(0, hello).says(1, hello).says(0, "EPSV").says(1, "229 x")
	return b
}

func TestADataConnectionBelongsToTheSessionWhoseServerSpoke(t *testing.T) {
	k, c, d := hush(t)
	b := second(k) // the first one has its data connection
	e := k.open("10.0.0.7:3001", "10.0.0.1:5001")
	e.says(0, hello).says(1, hello).says(1, secret).acks(0).fin(1).fin(0).acks(1)
	b.says(1, "226 x").acks(0).says(0, "QUIT")
	k.ends("get closed closed-unproven -1")
	if got := k.last().Peer.String(); got != "10.0.0.7:2001" {
		t.Errorf("of %s", got)
	}
	d.says(0, secret).acks(1)
	c.reset(0)
	k.wait(3 * time.Second)
	// One that comes long after anything was said is none of FTP.
	k.wait(time.Minute)
	before := len(k.got)
	o := k.open("10.0.0.7:3002", "10.0.0.1:8443")
	o.says(0, hello).says(1, hello).says(1, secret).acks(0).fin(1).fin(0).acks(1)
	k.table.End(k.now)
	for _, e := range k.got[before:] {
		if strings.Contains(e.Details, "8443") {
			t.Errorf("%+v", e)
		}
	}
}

func TestDataThatMayBeOfTwoSessionsIsGivenToNone(t *testing.T) {
	k := newTalk(t)
	b := second(k)
	c := k.open(client, server)
	c.says(1, "220 hello\r\n")
	c.ask("AUTH TLS", "234 go").says(0, hello).says(1, hello).says(0, "EPSV").says(1, "229 x")
	d := k.open("10.0.0.7:3000", "10.0.0.1:5000")
	d.says(0, hello).says(1, hello).says(0, secret).acks(1)
	e := k.open("10.0.0.7:3001", "10.0.0.1:5001")
	e.says(0, hello).says(1, hello).says(1, secret).acks(0)
	b.reset(0) // whose upload that ends is not known
	d.fin(0).fin(1).acks(0)
	e.fin(1).fin(0).acks(1)
	k.ends("put closed closed-unproven -1", "get closed closed-unproven -1")
	if got := k.last().Peer.String(); got != "10.0.0.7:3001" {
		t.Errorf("of %s", got)
	}
	c.says(0, "QUIT").fin(0).fin(1).acks(0)
	if k.table.End(k.now); len(k.table.sessions) != 0 || len(k.table.hidden) != 0 {
		t.Error("something is held")
	}
}

// busy is an upload that runs.
func busy(t *testing.T) (k *talk, c, d *line) {
	k = newTalk(t)
	c = k.login().passive()
	c.says(0, "STOR up.bin\r\n")
	d = k.open("10.0.0.7:3000", passive)
	c.says(1, "150 go\r\n")
	d.says(0, "content").acks(1)
	return k, c, d
}

func TestAClientThatDoesNotEvenAcknowledgeHasVanished(t *testing.T) {
	for _, give := range []func(c, d *line){
		func(c, _ *line) { c.says(1, "421 Data timeout. Reconnect. Sorry.\r\n").send(1, 1, "") },
		func(c, _ *line) { c.says(1, "451 No data in 60 seconds\r\n") },
		func(c, d *line) { d.fin(1); c.fin(1) },
	} {
		k, c, d := busy(t)
		k.wait(10 * time.Second)
		give(c, d)
		k.ends()
		k.wait(3 * time.Second).ends("put closed client-silent 7")
	}
	// Who is only slow acknowledges what the server says.
	k, c, _ := busy(t)
	k.wait(10 * time.Second)
	c.says(1, "421 Data timeout. Reconnect. Sorry.\r\n").acks(0)
	k.ends("put closed timeout 7")
}

func TestSilenceIsToldAndEndsNothing(t *testing.T) {
	k, c, d := busy(t)
	k.wait(25 * time.Second).ends()
	if e := k.got[len(k.got)-1]; e.Kind.String() != "progress" || e.Reason != "client-silent" || e.Moved != 7 {
		t.Errorf("%+v", e)
	}
	d.says(0, "more")
	if e := k.got[len(k.got)-1]; e.Kind.String() != "progress" || e.Reason != "" {
		t.Errorf("%+v", e)
	}
	d.acks(1).fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("put closed reply-acknowledged 11")
	// Nothing more for hours.
	k, _, _ = busy(t)
	k.wait(3 * time.Hour).ends("put closed client-silent 7")
}

func TestAborCutsAnUploadWhateverTheServerCallsIt(t *testing.T) {
	// vsftpd looks at ABOR when the data has ended, and calls what came complete.
	k, c, d := busy(t)
	c.says(0, "ABOR\r\n")
	d.fin(0).fin(1).acks(0)
	c.says(1, "226 Transfer complete.\r\n").ask("QUIT", "225 No transfer to ABOR.")
	k.ends("put closed client-abort 7")
	// It says no more than that, and goes.
	k, c, d = busy(t)
	c.says(0, "ABOR\r\n")
	d.reset(0)
	c.fin(0).says(1, "226 Transfer complete.\r\n").reset(0)
	k.ends("put closed client-abort 7")
	// ABOR behind the last byte stops nothing.
	k, c, d = busy(t)
	d.fin(0).fin(1).acks(0)
	c.says(0, "ABOR\r\n").says(1, "226 Transfer complete.\r\n").ask("QUIT", "225 No transfer to ABOR.")
	k.ends("put closed reply-acknowledged 7")
}
