package ftp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// stored is an upload of "content" up to the server's reply.
func stored(t *testing.T) (*talk, *line) {
	k := newTalk(t)
	c := k.login().passive()
	c.says(0, "STOR up.bin\r\n")
	d := k.open("10.0.0.7:3000", passive)
	c.says(1, "150 go\r\n")
	d.says(0, "content").acks(1).fin(0).fin(1).acks(0)
	return k, c
}

func TestUploadIsWholeWhenTheReplyIsAcknowledgedAndTheClientGoesOn(t *testing.T) {
	k, c := stored(t)
	c.says(1, "226 done\r\n").acks(0)
	k.ends()
	c.ask("QUIT", "221 bye")
	k.ends("put closed reply-acknowledged 7")
	e := k.last()
	if e.Digest != sha("content") || e.User != "u" || e.Name != "up.bin" || e.Proto != "ftp" || e.Peer.String() != client || e.Self.String() != server {
		t.Errorf("%+v", e)
	}
	k.details(`"data_mode":"passive"`, `"replies":[150,226]`, `"type":"I"`, `"announced":"10.0.0.1:4000"`, `"data_packets":`, `"first_packet":"`, `"last_packet":"`)
	// Nothing follows, and the connection stays: it lives on.
	k, c = stored(t)
	c.says(1, "226 done\r\n").acks(0)
	k.wait(3 * time.Second).ends("put closed reply-acknowledged 7")
}

func TestUploadOfAClientThatDiedIsLost(t *testing.T) {
	// Its FIN comes before the reply.
	k, c := stored(t)
	c.fin(0).says(1, "226 done\r\n").reset(0)
	k.ends("put closed control-lost 7")
	// Its kernel acknowledges the reply, and then resets what nobody read.
	k, c = stored(t)
	c.says(1, "226 done\r\n").acks(0).reset(0)
	k.wait(3 * time.Second).ends("put closed control-lost 7")
	// It never acknowledges.
	k, c = stored(t)
	c.says(1, "226 done\r\n")
	k.wait(70 * time.Second).ends("put closed reply-unacknowledged 7")
	// It vanishes without a word, and so does the server.
	k, c = stored(t)
	c.reset(1)
	k.ends("put closed control-lost 7")
	// Its FIN is the acknowledgement.
	k, c = stored(t)
	c.says(1, "226 done\r\n").fin(0)
	k.ends("put closed reply-unacknowledged 7")
}

func TestEndOfTheCaptureBehindTheAcknowledgementProvesNoUpload(t *testing.T) {
	k, c := stored(t)
	c.says(1, "226 done\r\n").acks(0)
	k.table.End(k.now)
	k.ends("put closed reply-unacknowledged 7")
}

func TestDownloadWaitsForTheEndOfItsData(t *testing.T) {
	k := newTalk(t)
	c := k.login().ask("SIZE f", "213 6").passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("RETR f", "150 Opening BINARY mode data connection for f (6 bytes).")
	d.says(1, "abc").acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends()
	d.says(1, "def").fin(1).acks(0)
	k.ends("get closed reply-acknowledged 6")
	if e := k.last(); e.Digest != sha("abcdef") || e.Expected != 6 {
		t.Errorf("%+v", e)
	}
}

func TestDownloadShorterThanAnnouncedIsContradicted(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("RETR f", "150 Opening (7 bytes)")
	d.says(1, "abc").fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed announced-size 3")
}

func TestMissedDataLeavesNoDigest(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("RETR f", "150 go")
	d.says(1, "abc").skip(1, "lost").says(1, "def").fin(1).acks(0)
	k.now = k.now.Add(time.Second)
	d.fin(0).acks(1)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed reply-acknowledged 10")
	k.details(`"missing_bytes":4`)
	if k.last().Digest != "" {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestActiveDataOfAServerThatConnectsBeforeItAnswers(t *testing.T) {
	k := newTalk(t)
	c := k.login()
	c.says(0, "PORT 10,0,0,7,15,160\r\n")
	d := k.open("10.0.0.1:20", "10.0.0.7:4000")
	c.says(1, "200 ok\r\n").ask("APPE log", "125 go")
	d.says(1, "more").acks(0).fin(1).fin(0).acks(1)
	c.says(1, "250 done\r\n").ask("NOOP", "200 ok")
	k.ends("append closed reply-acknowledged 4")
	k.details(`"data_mode":"active"`)
}

func TestExtendedModesAreFollowed(t *testing.T) {
	k := newTalk(t)
	c := k.login().ask("EPSV", "229 Extended Passive Mode (|||4000|)")
	d := k.open("10.0.0.7:3000", passive)
	c.ask("LIST", "150 go")
	d.says(1, "a\r\n").fin(1).fin(0).acks(1)
	c.says(1, "226 done\r\n").ask("EPRT |1|10.0.0.7|4000|", "200 ok").ask("NLST", "150 go")
	e := k.open("10.0.0.1:20", "10.0.0.7:4000")
	e.says(0, "b\r\nc").fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("QUIT", "221 bye")
	k.ends("list closed reply-acknowledged 3", "list closed reply-acknowledged 4")
}

func TestDataOutsideTheCaptureIsAbsentAndLiveAGap(t *testing.T) {
	for _, live := range []bool{false, true} {
		k := newTalk(t, func(c *Config) { c.Live = live })
		k.login().passive().ask("RETR f", "150 go").says(1, "226 done\r\n").ask("QUIT", "221 bye")
		k.ends("get closed " + map[bool]string{false: "reply-acknowledged", true: "gap"}[live] + " -1")
	}
}

func TestIllegalAndUnaskedRepliesDoNotCount(t *testing.T) {
	k := newTalk(t)
	c := k.login().ask("RETR f", "225 what")
	c.ask("NOOP", "200 ok").ask("QUIT", "221 bye").fin(0).fin(1)
	k.ends("get closed control-lost -1")
	k = newTalk(t)
	c = k.login().ask("RETR f", "550 No such file")
	c.says(1, "226 not asked for\r\n").ask("QUIT", "221 bye")
	k.ends("get refusal not-found -1")
}

func TestRepliesOfSeveralLinesAreOne(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive().ask("RETR f", "150 go")
	c.says(1, "226-first\r\n226-second\r\n 226 indented\r\n2").says(1, "26 last\r\n")
	c.ask("QUIT", "221 bye")
	k.ends("get closed reply-acknowledged -1")
	k.details(`"replies":[150,226]`)
}

func TestPipelinedCommandsArePairedInOrder(t *testing.T) {
	k := newTalk(t)
	c := k.login()
	c.says(0, "RETR a\r\nRETR b\r\nSTAT\r\nRETR c\r\n")
	c.says(1, "550 No such file\r\n150 go\r\n211 status\r\n226 done\r\n").says(1, "553 not allowed\r\n").ask("QUIT", "221 bye")
	k.ends("get refusal not-found -1", "get refusal not-readable -1", "get closed reply-acknowledged -1")
}

func TestMissedCommandsMakeNothingWhole(t *testing.T) {
	k := newTalk(t)
	c := k.login()
	c.ask("RETR a", "150 go")
	c.skip(0, "ABOR\r\n").says(1, "426 aborted\r\n226 done\r\n").says(0, "NOOP\r\n")
	k.ends("get closed gap -1")
}

func TestMissedPreliminaryReplyLeavesNoDoubt(t *testing.T) {
	k := newTalk(t)
	c := k.login()
	c.says(0, "RETR a\r\n").skip(1, "150 go\r\n").acks(0).says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed reply-acknowledged -1")
	// When the client goes on without a reply that was seen, the reply was missed.
	k = newTalk(t)
	c = k.login()
	c.says(0, "RETR a\r\n").skip(1, "550 no\r\n").says(0, "STOR b\r\n").says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed gap -1", "put closed reply-acknowledged -1")
}

func TestAbortedTransfersAreTheClients(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("RETR f", "150 go")
	d.says(1, "abc").acks(0)
	c.says(0, "\xff\xf4\xff\xf2ABOR\r\n").says(1, "426 closed\r\n226 abort done\r\n").ask("NOOP", "200 ok")
	d.fin(1)
	k.ends("get closed client-abort 3")
}

func TestRefusalsAndFailuresKeepTheServersWords(t *testing.T) {
	f := func(command, reply, want string) {
		t.Helper()
		k := newTalk(t)
		k.login().ask(command, reply).ask("NOOP", "200 ok")
		k.ends(want)
		if lines := strings.Split(reply, "\n"); k.last().Err != lines[len(lines)-1] {
			t.Errorf("%q", k.last().Err)
		}
	}
	f("RETR f", "550 Failed to open file.", "get refusal not-found -1")
	f("RETR f", "550 f: Permission denied", "get refusal not-readable -1")
	f("STOR f", "553 Could not create file.", "put refusal not-writable -1")
	f("STOR f", "452 no", "put refusal disk-full -1")
	f("STOR f", "552 over quota", "put refusal quota -1")
	f("STOR f", "530 Please login", "put refusal login-failed -1")
	f("STOR f", "500 what", "put refusal bad-request -1")
	f("RETR f", "425 Failed to establish connection.", "get closed server-error -1")
	f("RETR f", "425 Security: Bad IP connecting.", "get closed data-peer-mismatch -1")
	f("RETR f", "150 go\r\n426 broken", "get closed client-gone -1")
	f("RETR f", "150 go\r\n451 disk", "get closed server-error -1")
}

func TestStrangerOnTheDataPortIsNoted(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.9.9.9:3000", passive)
	c.ask("RETR f", "150 go")
	d.says(1, "secret").fin(1).fin(0).acks(1)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed data-peer-mismatch 6")
	k.details(`"data_peer":"10.9.9.9:3000"`)
}

func TestPortOfAThirdPartyIsABounce(t *testing.T) {
	k := newTalk(t)
	c := k.login().ask("PORT 10,2,2,3,0,80", "200 ok")
	if n := k.count(tallyman.KindFlow); n != 1 || !strings.HasPrefix(k.got[len(k.got)-1].Err, "bounce") || k.got[len(k.got)-1].Self.String() != "10.2.2.3:80" {
		t.Errorf("%d bounces, %+v", n, k.got[len(k.got)-1])
	}
	d := k.open("10.0.0.1:20", "10.2.2.3:80")
	c.ask("RETR f", "150 go")
	d.says(0, "EVIL").fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed bounce 4")
	// The client's own address is legal, and one that was rewritten on the way is found by its port.
	k = newTalk(t)
	c = k.login().ask("PORT 10,0,0,7,15,160", "200 ok")
	if k.count(tallyman.KindFlow) != 0 {
		t.Error("a legal PORT is called a bounce")
	}
	c.ask("PORT 192,168,1,7,15,160", "200 ok")
	d = k.open("10.0.0.1:20", "10.0.0.7:4000")
	c.ask("RETR f", "150 go")
	d.says(0, "good").fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed reply-acknowledged 4")
}

func TestLoginsAndRefusedCommandsAreEvents(t *testing.T) {
	k := newTalk(t)
	c := k.open(client, server)
	c.says(1, "220 hello\r\n")
	c.ask("USER eve", "331 password").ask("PASS x", "530 no").ask("USER bob", "331 password").ask("PASS y", "230 welcome")
	c.ask("CWD /root", "550 denied").ask("FEAT", "502 not implemented").ask("DELE a", "250 ok")
	if a, b, d := k.count(tallyman.KindLoginFailed), k.count(tallyman.KindLogin), k.count(tallyman.KindCommandRefused); a != 1 || b != 1 || d != 1 {
		t.Errorf("%d failed, %d good, %d refused: %+v", a, b, d, k.got)
	}
	if k.got[0].User != "eve" || k.got[1].User != "bob" || k.got[2].Err != "CWD /root: 550 denied" || k.got[2].User != "bob" {
		t.Errorf("%+v", k.got)
	}
}

func TestResumedTransferHasNoDigest(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("REST 100", "350 ok").ask("RETR f", "150 (200 bytes)")
	d.says(1, "tail").fin(1).fin(0).acks(1)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("get closed reply-acknowledged 4")
	k.details(`"offset":100`)
	if k.last().Digest != "" {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestNameThatTheServerChoseIsTheName(t *testing.T) {
	k := newTalk(t)
	k.login().passive().ask("STOU", "150 FILE: unique.1").says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("put closed reply-acknowledged -1")
	if k.last().Name != "unique.1" {
		t.Errorf("name %q", k.last().Name)
	}
}

// hello is the first record of a TLS handshake.
const hello = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"

func TestEncryptedDataOfAReadableSessionIsUnproven(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("STOR f", "150 go")
	d.says(0, hello).says(1, hello).says(0, "\x17\x03\x03xxxxx").acks(1).fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("put closed closed-unproven -1")
}

func TestHeadersAloneCountBytesAndHashNothing(t *testing.T) {
	k := newTalk(t)
	c := k.login().passive()
	d := k.open("10.0.0.7:3000", passive)
	c.ask("STOR f", "150 go")
	k.now = k.now.Add(time.Millisecond)
	k.table.Packet(&frame.Packet{
		Time: k.now, Kind: frame.TCP, Src: d.ends[0], Dst: d.ends[1], Seq: d.seq[0], Ack: d.ack[0], Flags: frame.ACK, Payload: []byte("abc"), Length: 1000,
	})
	d.seq[0] += 1000
	d.acks(1).fin(0).fin(1).acks(0)
	c.says(1, "226 done\r\n").ask("NOOP", "200 ok")
	k.ends("put closed reply-acknowledged 1000")
	k.details(`"headers_only":true`)
	if k.last().Digest != "" {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestSessionsAndConnectionsAreBounded(t *testing.T) {
	k := newTalk(t, func(c *Config) { c.Sessions = 20 })
	for i := range 500 {
		c := k.open(fmt.Sprintf("10.1.%d.%d:5", i>>8, i&255), server)
		c.says(1, "220 hello\r\n")
		c.ask("PASV", fmt.Sprintf("227 (10,0,0,1,50,%d)", i&255)).says(0, "RETR f\r\n")
		for range 3 {
			k.open(fmt.Sprintf("10.1.%d.%d:%d", i>>8, i&255, 100+k.number), fmt.Sprintf("10.0.0.1:%d", 50<<8+i&255))
		}
		if len(k.table.sessions) > 20 || len(k.table.conns) > 81 || len(k.table.endpoints) > 20*mostEndpoints {
			t.Fatalf("%d sessions, %d connections, %d endpoints", len(k.table.sessions), len(k.table.conns), len(k.table.endpoints))
		}
	}
	k.table.End(k.now)
	if len(k.table.sessions) != 0 || len(k.table.endpoints) != 0 || len(k.table.conns) != 0 || len(k.table.hidden) != 0 {
		t.Errorf("%d sessions, %d endpoints, %d connections are left", len(k.table.sessions), len(k.table.endpoints), len(k.table.conns))
	}
	if n := k.count(tallyman.KindRequest); n != k.count(tallyman.KindClosed) {
		t.Errorf("%d requests, %d ends", n, k.count(tallyman.KindClosed))
	}
	if k.table.Counts.Dropped == 0 {
		t.Error("what was dropped is not counted")
	}
}

// FuzzDialogue: whatever both ends say, in whatever order and with whatever lost, a transfer is reply-acknowledged only if the server said 226 or 250 and the client
// acknowledged it; each request has one end; the evidence is bounded.
func FuzzDialogue(f *testing.F) {
	f.Add([]byte{0, 1, 2, 20, 3, 21, 4, 22})
	f.Add([]byte{5, 23, 30, 6, 24, 25, 7})
	client := []string{
		"USER u\r\n", "PASV\r\n", "RETR f\r\n", "STOR f\r\n", "ABOR\r\n", "QUIT\r\n", "PORT 10,0,0,7,15,160\r\n", "LIST\r\n", "NOOP\r\n", "REST 5\r\n", "RE", "TR g\r\n",
		"AUTH TLS\r\n", "\xff\xf4", "STOU\r\n", "TYPE A\r\n", "EPSV\r\n", hello,
	}
	server := []string{
		"220 hi\r\n", "230 ok\r\n", "227 (10,0,0,1,15,160)\r\n", "150 go (3 bytes)\r\n", "226 done\r\n", "426 no\r\n", "550 no\r\n", "221 bye\r\n", "226-more\r\n", "226 ", "\r\n",
		"200 ok\r\n", "229 (|||4000|)\r\n", "234 tls\r\n", "350 ok\r\n", "junk\r\n", "250 done\r\n",
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		k := newTalk(t)
		script = script[:min(len(script), 300)]
		c := k.open("10.0.0.7:2000", "10.0.0.1:21")
		var d *line
		said, acked := 0, 0
		for _, b := range script {
			switch {
			case b < 80:
				c.says(0, client[int(b)%len(client)])
				acked = said
			case b < 160:
				text := server[int(b)%len(server)]
				said += strings.Count(text, "226") + strings.Count(text, "250")
				c.says(1, text)
			case b < 180:
				c.acks(0)
				acked = said
			case b < 190:
				c.skip(0, "lost\r\n")
			case b < 200:
				c.skip(1, "226 lost\r\n")
			case b < 210:
				d = k.open(fmt.Sprintf("10.0.0.7:%d", 3000+k.number), passive)
			case b < 220:
				d = k.open("10.0.0.1:20", "10.0.0.7:4000")
			case d != nil && b < 240:
				d.says(int(b&1), "abc").acks(int(b&1) ^ 1)
			case d != nil && b < 248:
				d.fin(int(b & 1)).acks(int(b&1) ^ 1)
			case d != nil && b == 248:
				d.reset(0)
			case b < 251:
				k.wait(3 * time.Second)
			case b == 251:
				c.fin(0)
			case b == 252:
				c.fin(1)
			case b == 253:
				c.reset(0)
			default:
				k.table.Blind()
			}
		}
		k.table.End(k.now)
		good, requests, ended := 0, 0, 0
		for _, e := range k.got {
			switch e.Kind {
			case tallyman.KindRequest:
				requests++
			case tallyman.KindClosed, tallyman.KindRefusal:
				ended++
				if e.Reason == tallyman.ReplyAcknowledged {
					good++
				}
				if e.Kind == tallyman.KindClosed && e.Reason.Verdict() == tallyman.NoVerdict {
					t.Fatalf("no such reason: %q", e.Reason)
				}
			default: // what stands between them
			}
		}
		if good > acked {
			t.Fatalf("%d transfers are acknowledged by %d replies", good, acked)
		}
		if requests != ended || requests > len(script) || len(k.got) > 4*len(script)+8 {
			t.Fatalf("%d requests, %d ends, %d evidence of %d steps", requests, ended, len(k.got), len(script))
		}
	})
}

// FuzzParsers: an endpoint that is accepted is written back to the same one.
func FuzzParsers(f *testing.F) {
	for _, s := range []string{"10,0,0,1,15,160", "227 Entering (1, 2,3,4,5,6)", "|2|::1|6446|", "(|||6446|)", "226-x", "150 f (12 bytes)", "999999999999999999999 bytes"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := parsePort(s); ok {
			b := a.Addr().As4()
			again, ok := parsePort(fmt.Sprintf("%d,%d,%d,%d,%d,%d", b[0], b[1], b[2], b[3], a.Port()>>8, a.Port()&255))
			if !ok || again != a {
				t.Fatalf("%q is %v and then %v", s, a, again)
			}
		}
		if a, ok := parseExtended(s, passiveAddr); ok {
			again, ok := parseExtended(fmt.Sprintf("|1|%s|%d|", a.Addr(), a.Port()), passiveAddr)
			if !ok || again != a {
				t.Fatalf("%q is %v and then %v", s, a, again)
			}
		}
		if n := announced(s); n < -1 {
			t.Fatalf("%q announces %d", s, n)
		}
		var r replies
		for line := range strings.SplitSeq(s, "\n") {
			if out, done, junk := r.feed(line); done && (junk || out.code < 100 || out.code > 599) {
				t.Fatalf("%q is reply %d", line, out.code)
			}
		}
	})
}

var passiveAddr = netip.MustParseAddr("10.0.0.1")

// Scans send their commands without waiting for an answer.
func TestPortThatNobodyAnswersIsABounceWhenTheSessionEnds(t *testing.T) {
	k := newTalk(t)
	c := k.login()
	c.says(0, "PORT 10,2,2,3,0,80\r\n").acks(1).says(0, "PORT 10,2,2,3,0,81\r\n").acks(1)
	if n := k.count(tallyman.KindFlow); n != 0 {
		t.Errorf("%d bounces before an answer or the end", n)
	}
	c.fin(0).fin(1).acks(0)
	k.table.Tick(k.now.Add(time.Minute))
	if n := k.count(tallyman.KindFlow); n != 1 || !strings.Contains(k.got[len(k.got)-1].Err, "10,2,2,3,0,80 to 10.0.0.1:21 names a third party, not answered") {
		t.Errorf("%d bounces, %+v", n, k.got[len(k.got)-1])
	}
}
