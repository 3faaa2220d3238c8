//go:build real

package real

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A client chooses the names of files and users. These look like lines of the server that writes them down, end lines, colour terminals, and break pages.
// 1.2.3.4 and "forged" stand only in names.

func tftpNames(stamp string) []string {
	return []string{
		"a\nRRQ from 1.2.3.4 filename forged",
		"a\n" + stamp + " vm in.tftpd[7]: RRQ from 1.2.3.4 filename forged",
		"a\n" + stamp + " vm atftpd[7.8]: Serving forged to 1.2.3.4:5\n" + stamp + " vm atftpd[7.8]: End of transfer\nx",
		"a\r" + stamp + " vm dnsmasq-tftp[7]: sent /forged to 1.2.3.4",
		"a to 1.2.3.4:5", "a not found for 1.2.3.4", "sent /forged to 1.2.3.4", "f remapped to /forged ",
		"sending NAK (1, File not found) to 1.2.3.4", "e\x1b]0;title\a\x1b[31m\xff\xfe", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\u202eexe.fdp",
	}
}

var ftpNames = []string{
	`x" 226 5 0.1 f=/forged why=- st=success`, `x" 550 7 y`, `x", 5 bytes, 1.00Kbyte/sec`, `x] OK DELETE: Client "1.2.3.4", "forged`,
	`x] OK UPLOAD: Client "1.2.3.4", "forged", 5 bytes, 1.00Kbyte`, "x b _ i r forged ftp 0 * c", "x is now logged in", "x uploaded  (5 bytes, 1.00KB",
	"x\rFri Nov 27 00:00:00 2026 [pid 7] [lu] OK UPLOAD: Client \"1.2.3.4\", \"forged\", 5 bytes, 1.00Kbyte", "x\x1b[31m\xfe", "<img src=x onerror=alert(1)>",
}

var ftpUsers = []string{
	`u] OK LOGIN: Client "1.2.3.4"`, `u] FAIL LOGIN: Client "1.2.3.4"`, `u] OK DELETE: Client "1.2.3.4", "forged`, `u" 230 0`,
	"u: Login successful", "u is now logged in", "u@1.2.3.4) [NOTICE] forged uploaded  (5 bytes, 1.00KB/sec)", "u from 1.2.3.4 port 5 ssh2", "u\x1b[31m",
}

// hostile does to an FTP server what is allowed to nobody, and to somebody who may write.
func (i *island) hostile(port int, users []string, last string) {
	i.t.Helper()
	for _, user := range users {
		c := i.dial(port)
		_ = c.SetDeadline(time.Now().Add(soon))
		_, _ = fmt.Fprintf(c, "USER %s\r\nPASS x\r\nQUIT\r\n", user)
		_, _ = new(bytes.Buffer).ReadFrom(c)
		_ = c.Close()
	}
	f := i.ftp(port, "pw")
	for _, name := range ftpNames {
		d, ok := f.try("STOR " + name)
		if !ok {
			continue
		}
		_, _ = d.Write([]byte("hostile"))
		_ = d.Close()
		f.answer()
		_, _ = fmt.Fprintf(f.c, "DELE %s\r\n", name)
		f.answer()
	}
	f.put(last, []byte("sentinel"), false)
	f.command(221, "QUIT")
}

// try begins a transfer that may be refused.
func (f *ftpClient) try(command string) (net.Conn, bool) {
	f.t.Helper()
	at := f.passive()
	_, _ = fmt.Fprintf(f.c, "%s\r\n", command)
	d, err := net.Dial("tcp4", at) // a server that has refused already does not listen any more
	if code := f.answer(); code == 150 || code == 125 {
		if err != nil {
			f.t.Fatal(err)
		}
		return d, true
	}
	if err == nil {
		_ = d.Close()
	}
	return nil, false
}

// answer reads a reply, whatever it is.
func (f *ftpClient) answer() int {
	f.t.Helper()
	code, _, err := f.r.ReadResponse(0)
	if code == 0 {
		f.t.Fatalf("no answer: %v", err)
	}
	return code
}

// forged says what of a record, or of an event, nobody but a forger can have caused.
func forged(line []byte) string {
	var r struct {
		Kind, File, Path, Verdict, Proto, User, Text string
		Client                                       struct{ IP string }
		Details                                      struct{ Boundary string }
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return err.Error()
	}
	switch {
	case r.Client.IP == "1.2.3.4" && r.Details.Boundary == "text" && r.Verdict == "unproven":
		return "" // atftpd writes names as they are into a text file: see doc/witnesses.md
	case r.Client.IP == "1.2.3.4", r.File == "forged", strings.HasSuffix(r.Path, "/forged"):
		return "it is forged"
	case r.Kind == "login" && r.User != "lu":
		return "nobody has logged in with this name"
	case r.Verdict == "complete" && r.Proto == "tftp":
		return "no file was served"
	case r.Verdict == "contradicted" || r.Verdict == "failed":
		return "nothing has failed"
	}
	return ""
}

func TestNamesForgeNoRecord(t *testing.T) {
	i := newIsland(t)
	w := &watching{island: i, state: filepath.Join(t.TempDir(), "state")}
	w.root = filepath.Join(i.dir, "home")
	root := mkdir(t, w.root, "tftp")
	hpa, atftpd := fmt.Sprintf("127.0.0.1:%d", freePort(t)), freePort(t)
	dnsmasq := "127.0.0.3:69"
	atftpdLog := i.file("atftpd.log")
	i.run("tftpd-hpa", "-L", "-vvvv", "-a", hpa, "-c", "--secure", root)
	i.run("atftpd", "--daemon", "--no-fork", "--port", fmt.Sprint(atftpd), "--verbose=7", "--logfile", atftpdLog, "--user", "root.root", "--bind-address", "127.0.0.1", root)
	i.run("dnsmasq", "-k", "--port=0", "--enable-tftp", "--tftp-root="+root, "--listen-address=127.0.0.3", "--bind-interfaces", "--user=root", "-C", "/dev/null", "--pid-file="+i.dir+"/dm.pid")
	ftp := map[string]int{}
	for _, name := range []string{"vsftpd", "vsftpd-mute", "proftpd", "pure-ftpd"} {
		ftp[name] = freeTCP(t)
	}
	i.vsftpd(ftp["vsftpd"], i.file("vsftpd.log"), i.file("xferlog"), true)
	i.vsftpd(ftp["vsftpd-mute"], i.file("vsftpd-mute.log"), i.file("xferlog-mute"), false)
	i.proftpd(ftp["proftpd"], i.file("ext.log"), i.file("xferlog-proftpd"))
	i.pureftpd(ftp["pure-ftpd"], i.file("stats.log"))
	ssh := freeTCP(t)
	key := i.sshd(ssh)
	for _, at := range []string{hpa, fmt.Sprintf("127.0.0.1:%d", atftpd), dnsmasq} {
		up(t, at)
	}
	for _, port := range append([]int{ssh}, ftp["vsftpd"], ftp["vsftpd-mute"], ftp["proftpd"], ftp["pure-ftpd"]) {
		_ = i.dial(port).Close()
	}
	w.start()
	i.until("the journal is followed", func() bool {
		ask(t, hpa, rrq("is-anybody-there"))
		return slices.ContainsFunc(w.ls("is-anybody-there"), func(r told) bool { return slices.Contains(r.Witnesses, "log") })
	})

	stamp := time.Now().Format("Jan _2 15:04:05")
	for _, at := range []string{hpa, fmt.Sprintf("127.0.0.1:%d", atftpd), dnsmasq} {
		for _, name := range tftpNames(stamp) {
			ask(t, at, rrq(name))
		}
	}
	content := i.write("content", "hostile")
	t.Run("play", func(t *testing.T) { // servers let wait who fails to log in
		for name, port := range ftp {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				here := *i
				here.t = t
				users := ftpUsers
				if name == "pure-ftpd" { // it lets each of them wait longer
					users = users[5:7]
				}
				here.hostile(port, users, "sentinel-"+name)
			})
		}
		t.Run("sftp", func(t *testing.T) {
			t.Parallel()
			for _, name := range []string{"x\nforged", `x" bytes read 0 written 9`, `x" new "forged`, "x\x1b[31m", `x" flags WRITE mode 0644`} {
				_, _ = sftp(key, ssh, "lu", fmt.Sprintf("put %s \"%s\"\n", content, strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(name)))
			}
			for _, user := range ftpUsers {
				_, _ = sftp(key, ssh, user, "ls\n")
			}
			if out, err := sftp(key, ssh, "lu", "put "+content+" sentinel-sftp\n"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		})
	})
	for _, at := range []string{hpa, fmt.Sprintf("127.0.0.1:%d", atftpd), dnsmasq} {
		ask(t, at, rrq("sentinel"))
	}
	sentinels := ""
	defer func() {
		if t.Failed() {
			t.Log(sentinels)
		}
	}()
	i.until("all logs were read to their ends", func() bool {
		all := w.ls("*sentinel*")
		n := 0
		for _, r := range all {
			if slices.Contains(r.Witnesses, "log") && r.Verdict != "active" {
				n++
			}
		}
		sentinels = fmt.Sprint(all)
		return n >= 7 // of 8: what ProFTPD writes down is not found: it overwrites the name of its configuration
	})

	binary := os.Getenv(binaryEnv)
	records := command(t, binary, "ls", "--json", "-n", "0", "--state", w.state)
	var events struct{ Events []json.RawMessage }
	if err := json.Unmarshal([]byte(w.get("/api/v1/events?limit=1000")), &events); err != nil || len(events.Events) < 8 {
		t.Errorf("%d events, %v", len(events.Events), err)
	}
	for _, e := range events.Events {
		if why := forged(e); why != "" {
			t.Errorf("%s: %s", why, e)
		}
	}
	shown := map[string]string{
		"ls": command(t, binary, "ls", "-n", "0", "--state", w.state), "ls --json": records, "plain": w.get("/plain?limit=1000"),
		"csv": w.get("/api/v1/transfers.csv"), "events": w.get("/api/v1/events?limit=1000"), "doctor": command(t, binary, "doctor", "--state", w.state),
	}
	for line := range strings.Lines(records) {
		if why := forged([]byte(line)); why != "" {
			t.Errorf("%s: %s", why, line)
		}
		var r struct{ ID string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(binary, "why", r.ID, "--state", w.state).CombinedOutput()
		shown["why"] += string(out)
		shown["plain"] += w.get("/plain/" + r.ID)
	}
	for what, out := range shown {
		if at := strings.IndexFunc(out, func(r rune) bool {
			return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f || r == '\u202e' || r == '\ufffd'
		}); at >= 0 {
			t.Errorf("%s shows what names hold: %q", what, out[max(0, at-80):min(len(out), at+40)])
		}
	}
	if strings.Contains(shown["plain"], "<script>alert") || strings.Contains(shown["plain"], "<img src=x") {
		t.Error("the page holds a name as it is")
	}
	if !strings.Contains(shown["why"], `filename a\nRRQ from 1.2.3.4 filename forged`) {
		t.Error("why does not show the raw line")
	}
	w.stop()
}
