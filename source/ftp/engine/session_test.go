package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/ftp/listing"
)

func TestNothingIsDoneBeforeTheLogin(t *testing.T) {
	p := start(t, nil)
	p.did("220")
	p.says("RETR f", "EPSV", "PWD", "PASS x", "USER", "FOO", "", "a\x00b", "NOOP", "FEAT")
	p.did("530, 530, 530, 503, 501, 502, 500, 500, 200, 211")
	p.says("USER u", "PASS p", "USER v", "PASS p")
	p.did("331, Login, Event login , 230, 503, 503")
	p.says("STOR a\x00b")
	p.did("501")
}

func TestWrongPasswordsEndTheSession(t *testing.T) {
	p := start(t, nil)
	p.log = nil
	for range 2 {
		p.says("USER u", "PASS wrong", "PASS p")
		p.did("331, Login, Event login-failed login-failed, 530, 503")
	}
	p.says("USER u", "PASS wrong")
	p.did("331, Login, Event login-failed login-failed, 421, Hangup")
}

func TestCommandsWaitForASlowLogin(t *testing.T) {
	p := start(t, nil)
	p.slow, p.log = true, nil
	p.says("USER u", "PASS p", "PWD")
	p.pass(time.Hour)
	p.did("331, Login")
	p.m.LoggedIn(p.now, "u", nil)
	p.drain()
	p.did("Event login , 230, 257")
	p = start(t, nil)
	p.slow, p.log = true, nil
	p.says("USER u", "PASS p")
	p.m.Lost(p.now, true, State{})
	p.drain()
	p.did("331, Login, Halt")
	p.m.LoggedIn(p.now, "u", nil)
	p.drain()
	p.did("Hangup")
}

func TestSilenceEndsTheSession(t *testing.T) {
	p := start(t, nil)
	p.says("NOOP")
	p.pass(29 * time.Second)
	p.did("220, 200")
	p.says("NOOP")
	p.pass(2 * time.Second)
	p.did("200, 421, Hangup")
	p = login(t, nil)
	p.pass(299 * time.Second)
	p.says("NOOP")
	p.pass(299 * time.Second)
	p.did("200")
	p.pass(2 * time.Second)
	p.did("421, Hangup")
	// The clock of the commands stands still while data moves, and begins anew behind it.
	p = login(t, nil)
	p.says("EPSV", "STOR f")
	p.pass(time.Hour)
	p.moved(Ending{Bytes: 5})
	p.stored(Stored{Size: 5})
	p.pass(299 * time.Second)
	if p.over {
		t.Error("a long transfer counts as silence")
	}
	p.pass(2 * time.Second)
	if !p.over {
		t.Error("silence behind a transfer is not ended")
	}
}

func TestASessionThatBeginsTLSBeginsAnew(t *testing.T) {
	p := login(t, nil)
	p.pass(time.Minute)
	p.says("CWD d", "EPSV", "AUTH TLS")
	p.m.Secured(p.now)
	p.drain()
	p.log = nil
	p.says("PWD", "STOR f")
	p.did("530, 530")
	p.pass(20 * time.Second)
	p.says("USER u", "PASS p", "PWD", "RETR f")
	if !strings.Contains(p.last, "EPSV or PASV first") {
		t.Error(p.last)
	}
	if p.did("331, Login, Event login , 230, 257, 425, Refuse bad-request"); p.over {
		t.Error("it is hung up")
	}
}

func TestTLSIsOfferedRequiredOrOff(t *testing.T) {
	off := start(t, func(c *Config) { c.TLS = None })
	off.says("AUTH TLS", "PBSZ 0", "PROT P", "FEAT")
	if strings.Contains(off.last, "AUTH") {
		t.Error(off.last)
	}
	off.did("220, 502, 503, 503, 211")
	must := start(t, func(c *Config) { c.TLS = Required })
	must.says("USER u", "PASS p", "AUTH FOO", "AUTH TLS")
	must.did("220, 530, 530, 504, 234, Secure")
	must.m.Secured(must.now)
	must.says("AUTH TLS", "USER u", "PASS p", "EPSV", "RETR f", "PROT P", "PBSZ 0", "PROT C", "PROT S", "PROT P", "EPSV", "RETR f")
	must.did("503, 331, Login, Event login , 230, 229, 521, Refuse bad-request, 503, 200, 534, 536, 200, 229, Open, Begin, 150, Move")
	if !must.m.Running().Private {
		t.Error("the data is not private")
	}
	both := login(t, nil)
	both.says("EPSV", "RETR f")
	if both.m.Running().Private {
		t.Error("the data is private")
	}
	implicit := start(t, func(c *Config) { c.Implicit, c.TLS = true, Required })
	implicit.says("USER u", "PASS p", "EPSV", "RETR f")
	implicit.did("220, 331, Login, Event login , 230, 229, Open, Begin, 150, Move")
}

func TestWhatTheClientHadSaidInClearIsForgottenUnderTLS(t *testing.T) {
	p := start(t, nil)
	p.says("USER u", "AUTH TLS")
	p.m.Secured(p.now)
	p.log = nil
	p.says("PASS p")
	p.did("503")
	p = login(t, nil)
	p.says("AUTH TLS")
	p.m.Secured(p.now)
	p.log = nil
	p.says("PWD")
	p.did("530")
}

func TestDataGoesToTheClientAlone(t *testing.T) {
	p := login(t, nil)
	p.says("PORT 10,0,0,7,16,1")
	if p.last != "502 active mode is off here (port_mode), use PASV or EPSV\r\n" {
		t.Error(p.last)
	}
	p.did("Event command-refused policy, 502")
	p = login(t, func(c *Config) { c.Active = true })
	f := func(line, want string) {
		t.Helper()
		p.says(line)
		p.did(want)
	}
	f("PORT 10,0,0,7,16,1", "Aim, 200")
	f("EPRT |1|10.0.0.7|4097|", "Aim, 200")
	f("PORT 10,0,0,8,16,1", "Event command-refused bounce, 501")
	f("PORT 10,0,0,7,0,25", "Event command-refused bounce, 501")
	f("PORT 10,0,0,7,0,0", "Event command-refused bounce, 501")
	f("PORT 10,0,0,7,3,255", "Event command-refused bounce, 501")
	f("EPRT |1|10.0.0.8|4097|", "Event command-refused bounce, 501")
	f("EPRT |2|::1|4097|", "Event command-refused bounce, 501")
	f("EPRT |3|x|4097|", "522")
	f("PORT 10,0,0,7,16,256", "501")
	f("PORT x", "501")
	link := login(t, func(c *Config) { c.Active, c.Client = true, netip.MustParseAddrPort("[fe80::7%eth0]:4000") })
	link.says("EPRT |2|fe80::7|4097|")
	link.did("Aim, 200")
	f("EPSV ALL", "200")
	f("PORT 10,0,0,7,16,1", "501")
	f("PASV", "501")
	f("EPSV", "229")
	p = login(t, func(c *Config) { c.Passive, c.Active = false, true })
	f("EPSV", "Event command-refused policy, 502")
	f("PASV", "Event command-refused policy, 502")
	p = login(t, nil)
	f("EPSV 2", "522")
	f("EPSV 1", "229")
	p.says("PASV")
	if p.last != "227 Passive (10,0,0,1,4,1)\r\n" {
		t.Error(p.last)
	}
}

func TestNamesAreAskedForAndToldSafely(t *testing.T) {
	p := login(t, nil)
	p.answer = Answer{Info: listing.Info{Name: "f", Size: 7, Modified: p.now}, Sum: "ab", Path: "/srv/f"}
	f := func(line, want string) {
		t.Helper()
		p.says(line)
		p.did(want)
	}
	f(`MKD a"b`, `Do MKD a"b, Named mkdir a"b, 257`)
	if p.last != `257 "/a""b" is made`+"\r\n" {
		t.Error(p.last)
	}
	f("CWD d/e", "Do CWD d/e, 250")
	f("SIZE f", "Do SIZE d/e/f, 213")
	f("AVBL", "Do AVBL d/e, 213")
	f("AVBL ../f", "Do AVBL d/f, 213")
	f("CDUP", "Do CWD d, 250")
	f("CWD ..", "Do CWD , 250")
	f("CWD ..", "250")
	f("CDUP", "250")
	f("CWD ../..", "550")
	f("CWD", "501")
	f("PWD", "257")
	f("RNTO x", "503")
	f("RNFR f", "Do RNFR f, 350")
	f("NOOP", "200")
	f("RNTO x", "503")
	f("RNFR f", "Do RNFR f, 350")
	f("RNTO g", "Do RNTO f, Named rename g, 250")
	f("RNTO g", "503")
	f("MDTM f", "Do MDTM f, 213")
	f("MFMT 20010203040506 f g", "Do MFMT f g, 213")
	f("MFMT f", "501")
	f("SITE CHMOD 644 f", "Do CHMOD f, 200")
	f("SITE CHMOD 4755 f", "501")
	f("SITE CHMOD x f", "501")
	f("SITE EXEC rm", "504")
	f("SITE HELP", "214")
	f("HASH f", "Do HASH f, 213")
	f(`XSHA256 "f"`, "Do XSHA256 f, 250")
	f("MLST", "Do MLST , 250")
	f("SIZE", "501")
	f("DELE ../f", "550")
	f("TYPE E", "504")
	f("MODE Z", "504")
	f("MODE S", "200")
	f("STRU F", "200")
	f("OPTS UTF8 ON", "200")
	f("OPTS FOO", "501")
	p.answer = Answer{Err: &Refusal{Reason: tallyman.Policy, Text: "not allowed"}}
	f("DELE f", "Do DELE f, Named delete f, 550")
	p.answer = Answer{Err: &Refusal{Reason: tallyman.NotFound}}
	f("DELE f", "Do DELE f, Named delete f, 550")
	p.answer = Answer{Err: &Refusal{Reason: tallyman.Policy}}
	f("SITE CHMOD 600 f", "Do CHMOD f, Event command-refused policy, 550")
	p.answer = Answer{Err: &Refusal{Reason: tallyman.NotFound}}
	f("SIZE f", "Do SIZE f, Refuse not-found, 550")
	f("CWD nowhere", "Do CWD nowhere, 550")
	f("PWD", "257")
	if p.last != "257 \"/\" is where you are\r\n" {
		t.Error(p.last)
	}
}

func TestStopWaitsForTheTransferAndKickDoesNot(t *testing.T) {
	p := login(t, nil)
	p.says("EPSV", "STOR f")
	p.log = nil
	p.m.Stop(p.now)
	p.drain()
	p.did("")
	p.moved(Ending{Bytes: 5})
	p.stored(Stored{Size: 5})
	p.pass(time.Second)
	p.did("Store, 226, 421, Finish reply-acknowledged, Hangup")
	p = login(t, nil)
	p.says("EPSV", "STOR f")
	p.log = nil
	p.m.Kick(p.now, tallyman.Kicked)
	p.drain()
	p.moved(Ending{How: Halted, Bytes: 5})
	p.did("Halt, Drop, 426, Finish kicked, 421, Hangup")
	p = login(t, nil)
	p.m.Stop(p.now)
	p.drain()
	p.did("421, Hangup")
}

func TestHelpTellsWhatIsUnderstood(t *testing.T) {
	words := strings.Fields(understood)
	if !slices.IsSorted(words) {
		t.Error("not sorted")
	}
	p := login(t, nil)
	for a := 'A'; a <= 'Z'; a++ { // every verb of RFC 959 and those after it has three or four letters, but these
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				three := fmt.Sprintf("%c%c%c", a, b, c)
				if _, known := find(three); known != slices.Contains(words, three) {
					t.Error(three)
				}
				for d := 'A'; d <= 'Z'; d++ {
					if _, known := find(three + string(d)); known != slices.Contains(words, three+string(d)) {
						t.Error(three + string(d))
					}
				}
			}
		}
	}
	if _, known := find("XSHA256"); !known {
		t.Error("XSHA256")
	}
	p.says("HELP")
	for _, w := range words {
		if !strings.Contains(p.last, w) {
			t.Errorf("HELP does not tell %s", w)
		}
	}
}

// Whatever is said, in whatever order: each Begin has one Finish, nothing follows Hangup, and every command has an answer.
func FuzzEverySessionEndsInOrder(f *testing.F) {
	lines := []string{"USER u", "PASS p", "PASS wrong", "EPSV", "PASV", "STOR f", "RETR f", "APPE f", "STOU", "LIST", "NLST x", "ABOR", "STAT", "QUIT", "NOOP", "REST 5", "PBSZ 0", "PROT P", "AUTH TLS", "TYPE I", "RNFR a", "RNTO b", "\xff\xf4\xff\xf2ABOR", "a\rb"}
	f.Add([]byte{0, 1, 3, 5, 30, 40, 13})
	f.Add([]byte{0, 1, 3, 6, 11, 31, 50, 60})
	f.Fuzz(func(t *testing.T, script []byte) {
		p := start(t, nil)
		for _, b := range script {
			if p.over {
				break
			}
			switch n := int(b); {
			case n < len(lines):
				p.says(lines[n])
			case n < 40 && p.m.Running() != nil && !p.m.Running().storing:
				p.moved(Ending{How: How(n % 10), Bytes: 5, Err: &Refusal{Reason: tallyman.DiskFull}, Notify: n%2 == 0})
			case n < 50 && p.m.Running() != nil && p.m.Running().storing:
				p.stored(Stored{Size: 5, Gone: n%2 == 0})
			case n < 60:
				p.pass(time.Duration(n) * 100 * time.Millisecond)
			case n < 62:
				p.m.Lost(p.now, n%2 == 0, p.state)
				p.drain()
			case n < 70:
				p.state = State{Alive: n%2 == 0, Unacked: n % 3, DataReset: n%5 == 0}
			case n < 72:
				p.m.Stop(p.now)
				p.drain()
			case n < 74:
				p.m.Secured(p.now)
			}
		}
		// Whatever runs ends, and then silence ends the rest.
		for range 3 {
			if x := p.m.Running(); x != nil && !x.storing {
				p.moved(Ending{How: Reset})
			} else if x != nil {
				p.stored(Stored{Size: 5})
			}
			p.pass(time.Hour)
		}
		if !p.over {
			t.Fatalf("it does not end: %s", p.log)
		}
		begun, ended := 0, 0
		for _, l := range p.log {
			if l == "Begin" {
				begun++
			}
			if strings.HasPrefix(l, "Finish") {
				ended++
			}
		}
		if begun != ended {
			t.Fatalf("%d begun, %d ended: %s", begun, ended, p.log)
		}
	})
}
