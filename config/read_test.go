package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEmptyFileMeansTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "serve:\n", "serve:\n  tftp:\n    # listen: :70\n", "\ufeff"} {
		c, err := Parse("t.yaml", []byte(text), nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if live, restart := Diff(Defaults(), c); live != nil || restart != nil {
			t.Errorf("%q: differs from the defaults: %v %v", text, live, restart)
		}
	}
}

func TestFileOverridesDefaults(t *testing.T) {
	c, err := Parse("t.yaml", []byte(`---
name: lab-tftp-01
log: {level: warn, format: json}
keep: {transfers: 2w, events: 1d12h, max_size: 512MiB, min_free: 5GiB}
"drain": 0s
serve:
  tftp:
    listen: :6969
    write: no
    kept: 3
    read: false
    allow: [private, 203.0.113.0/24, "2001:db8::1"]
    min_free: 5%
    single_port: TRUE
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Serve.TFTP
	if c.Name != "lab-tftp-01" || c.Log.Level != "warn" || c.Keep.Transfers != Duration(14*24*time.Hour) || c.Keep.Events != Duration(36*time.Hour) ||
		c.Keep.MaxSize != 512<<20 || c.Keep.MinFree != (Free{Bytes: 5 << 30}) || c.Drain != 0 {
		t.Errorf("general keys: %+v", c)
	}
	if s.Listen != ":6969" || s.Write != "no" || s.Kept != 3 || s.Read || strings.Join(s.Allow, " ") != "private 203.0.113.0/24 2001:db8::1" ||
		s.MinFree.Of(1000) != 50 || !s.SinglePort || s.GiveUp != Duration(time.Minute) {
		t.Errorf("serve.tftp: %+v", s)
	}
}

func TestCarriageReturnsOfWindowsAreNoError(t *testing.T) {
	c, err := Parse("t.yaml", []byte("name: a\r\ndrain: 5s\r\n"), nil)
	if err != nil || c.Name != "a" || c.Drain != Duration(5*time.Second) {
		t.Errorf("got %q %v %v", c.Name, c.Drain, err)
	}
}

func TestWrongFileIsRefusedWithPlaceAndRemedy(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := Parse("t.yaml", []byte(text), nil)
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%q: no Problems but %v", text, err)
			return
		}
		if len(problems) != len(want) {
			t.Errorf("%q: %d problems, want %d:\n%v", text, len(problems), len(want), err)
			return
		}
		for i, p := range problems {
			if line, _, _ := strings.Cut(p.Error(), "\n"); !strings.HasPrefix(line, want[i]) {
				t.Errorf("%q:\n got %s\nwant %s", text, line, want[i])
			}
		}
	}
	f("serve:\n  tftp:\n    wirte: keep\n", "t.yaml:3:5: serve.tftp.wirte: unknown key, did you mean write?")
	f("surprise: 1\n", "t.yaml:1:1: surprise: unknown key, known here: name state log")
	f("fleet: {}\n", "t.yaml:1:1: fleet: is not in this version")
	f("serve: {ftp: {pasv_ports: 100-50, tls: maybe, port_mode: 1}}\n",
		`t.yaml:1:27: serve.ftp.pasv_ports: "100-50" is no range of ports: write 50000-50100, or any, for example pasv_ports: 50000-50100`,
		`t.yaml:1:40: serve.ftp.tls: "maybe" is unknown (known: none, explicit, required), for example tls: explicit`, "t.yaml:1:58: serve.ftp.port_mode: 1 is a number")
	f("serve: {ftp: {cert_file: a, pasv_mode: false, pasv_address: x}}\n", "t.yaml:1:26: serve.ftp.cert_file: a certificate without its key",
		"t.yaml:1:40: serve.ftp.pasv_mode: false, and port_mode too", "t.yaml:1:61: serve.ftp.pasv_address: is no IPv4 address")
	f("users: {never_ban: [office]}\n", `t.yaml:1:21: users.never_ban: "office" is none of private, any, an address such as 10.20.0.5 or a network such as 10.20.0.0/24, for example never_ban: [10.20.0.5]`)
	f("serve: {sftp: {allow: []}}\nusers: {file: \"\"}\n", "t.yaml:1:23: serve.sftp.allow: the list is empty", "t.yaml:2:15: users.file: it is empty")
	f("detector: {}\n", "t.yaml:1:1: detector: unknown key, did you mean detectors?")
	f("ledger: {driver: mysql}\n", "t.yaml:1:18: ledger.driver: mysql is not in this version, write driver: sqlite")
	f("ledger: {driver: sqlight}\n", `t.yaml:1:18: ledger.driver: "sqlight" is unknown (known: sqlite), for example driver: sqlite`)
	f("name: a\nname: b\n", "t.yaml:2:1: name: the key stands here twice, first in line 1: keep one")
	f("name: a\n---\nname: b\n", "t.yaml:3:1: a second document: the file holds one")
	f("name: a\n...\nname: b\n", "t.yaml:3:1: a second document: the file holds one")
	f("log:\n\tlevel: info\n\tfile: x\n", "t.yaml:2:1: a tab: YAML is indented by spaces", "t.yaml:3:1: a tab:")
	f("name: \xff\n", "t.yaml:1:1: the line is not UTF-8")
	f("name: a\x00b\n", `t.yaml:1:8: a control character, \x00`)
	f("name: \"a\\0b\"\n", `t.yaml:1:7: name: "a\x00b" is not text`)
	f("name: \"open\nlog: {}\n", "t.yaml:1:7: this is no YAML: ")
	f("name: [\n", "t.yaml:1:7: this is no YAML: ")
	f(strings.Repeat("[", 33), "t.yaml:1:1: more than 32 brackets are open here")
	f(strings.Repeat("#", maxFile+1), "t.yaml:1:1: the file is larger than 256KiB")
	f("- a\n", "t.yaml:1:1: expected lines of the form key: value")
	f("hello\n", "t.yaml:1:1: expected lines of the form key: value")
	f("1: 2\n", "t.yaml:1:1: 1: a key is a plain word")
	f("name: &a x\nstate: *a\nlog: {file: !!str 1}\n", "t.yaml:1:7: name: anchors, aliases and tags are not read here: write the value out, as in name: lab-tftp-01",
		"t.yaml:2:8: state: anchors, aliases and tags", "t.yaml:3:13: log.file: anchors, aliases and tags")
	f("web:\n  listen:\n", `t.yaml:2:11: web.listen: the key has no value: write one, as in listen: 127.0.0.1:8420, or remove the line`)
	f("web: 8420\n", "t.yaml:1:6: web: expected a section, as in web: {listen: 127.0.0.1:8420}")
	f("web: [1]\n", "t.yaml:1:6: web: expected a section")
	f("name: {a: b}\n", "t.yaml:1:8: name: expected text, as in name: lab-tftp-01")
	f("name: 7\n", "t.yaml:1:7: name: 7 is a number, expected text")
	f("name: true\n", "t.yaml:1:7: name: true is a truth value, expected text")
	f("drain: true\n", "t.yaml:1:8: drain: true is a truth value, expected a duration, as in drain: 30s")
	f("drain: 30\n", `t.yaml:1:8: drain: "30" has no unit: write 30s, 30m, 30h, 30d or 30w, for example drain: 30s`)
	f("drain: 5 minutes\n", `t.yaml:1:8: drain: "5 minutes" has the unknown unit "minutes"`)
	f("drain: 2h\n", `t.yaml:1:8: drain: "2h" is too much, at most 1h`)
	f("serve: {tftp: {kept: 010}}\n", `t.yaml:1:22: serve.tftp.kept: "010" is no number: a number does not begin with 0`)
	f("serve: {tftp: {kept: 0x1f}}\n", `t.yaml:1:22: serve.tftp.kept: "0x1f" is no number: expected a whole number`)
	f("serve: {tftp: {kept: 1_000}}\n", `t.yaml:1:22: serve.tftp.kept: "1_000" is no number`)
	f("serve: {tftp: {kept: 1e3}}\n", `t.yaml:1:22: serve.tftp.kept: expected a whole number`)
	f("serve: {tftp: {kept: \"30\"}}\n", `t.yaml:1:22: serve.tftp.kept: expected a whole number, as in kept: 30`)
	f("serve: {tftp: {kept: 0}}\n", `t.yaml:1:22: serve.tftp.kept: "0" is too little, at least 1`)
	f("serve: {tftp: {read: yes}}\n", `t.yaml:1:22: serve.tftp.read: expected true or false, as in read: true`)
	f("serve: {tftp: {read: 1}}\n", `t.yaml:1:22: serve.tftp.read: 1 is a number, expected true or false`)
	f("serve: {tftp: {write: false}}\n", `t.yaml:1:23: serve.tftp.write: false is a truth value, expected one of the words no, create, keep, overwrite, as in write: keep`)
	f("serve: {tftp: {write: keeep}}\n", `t.yaml:1:23: serve.tftp.write: "keeep" is unknown, did you mean keep?`)
	f("serve: {tftp: {listen: 69}}\n", `t.yaml:1:24: serve.tftp.listen: "69" is no address to listen on: write HOST:PORT`)
	f("serve: {tftp: {listen: \":70000\"}}\n", `t.yaml:1:24: serve.tftp.listen: ":70000" has no port from 0 to 65535 but "70000"`)
	f("serve: {tftp: {listen: \"a_b:69\"}}\n", `t.yaml:1:24: serve.tftp.listen: "a_b:69" names no host but "a_b"`)
	f("serve: {tftp: {allow: [private, office, 10.0.0.1/8]}}\n", `t.yaml:1:33: serve.tftp.allow: "office" is none of private, any`,
		`t.yaml:1:41: serve.tftp.allow: "10.0.0.1/8" has bits behind the mask: write 10.0.0.0/8, or 10.0.0.1 for the one address`)
	f("serve: {tftp: {allow: []}}\n", `t.yaml:1:23: serve.tftp.allow: the list is empty`)
	f("serve: {tftp: {allow: [any, 10.0.0.1]}}\n", `t.yaml:1:23: serve.tftp.allow: any stands beside other words`)
	f("serve: {tftp: {allow: 1.5}}\n", `t.yaml:1:23: serve.tftp.allow: "1.5" is none of private`)
	f("web: {hosts: [\"https://tally\"]}\n", `t.yaml:1:15: web.hosts: "https://tally" is no host name`)
	f("web: {cert_file: a}\n", "t.yaml:1:18: web.cert_file: a certificate without its key")
	f("web: {key_file: a}\n", "t.yaml:1:17: web.key_file: a key without its certificate")
	f("web: {tls: off, cert_file: a, key_file: b}\n", "t.yaml:1:12: web.tls: off, but web.cert_file is set")
	f("keep: {max_size: 4GB}\nserve: {tftp: {min_free: 100%, max_size: 10%}}\n", `t.yaml:1:18: keep.max_size: "4GB" has the unknown unit "GB": write B, KiB`,
		`t.yaml:2:26: serve.tftp.min_free: "100%" is no share of a disk: write 1% to 99%`, `t.yaml:2:42: serve.tftp.max_size: "10%" has the unknown unit "%"`)
	f("drain: |\n  30s\n", "t.yaml:1:8: drain: expected one line, as in drain: 30s")
}

func TestExcerptPointsAtTheColumn(t *testing.T) {
	_, err := Parse("t.yaml", []byte("name: ä\nserve: {tftp: {read: true, wirte: keep}}\n"), nil)
	want := `t.yaml:2:28: serve.tftp.wirte: unknown key, did you mean write?
    2 | serve: {tftp: {read: true, wirte: keep}}
      |                            ^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestExcerptOfALongLineIsCutAroundTheColumn(t *testing.T) {
	line := "name: a " + strings.Repeat("x", 300)
	got := excerpt(line, 7, 200)
	for part := range strings.SplitSeq(got, "\n") {
		if len(part) > 120 {
			t.Errorf("a line of %d bytes:\n%s", len(part), got)
		}
	}
}

func TestTerminalControlInAFileIsEscapedInErrors(t *testing.T) {
	_, err := Parse("t\x1b.yaml", []byte("\"na\\x1bme\": 1\nlog: {level: \"\\x1b[2J\"}\nx: \u202e\n"), nil)
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") {
		t.Errorf("got %q", err)
	}
}

func TestFileThatCannotBeReadIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Load(path, nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := Load("", nil); err != nil {
		t.Errorf("no file: %v", err)
	}
}

// files writes a configuration and what stands in conf.d beside it.
func files(t *testing.T, main string, beside map[string]string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "tallyman.yaml")
	if err := errors.Join(os.WriteFile(path, []byte(main), 0o600), os.Mkdir(filepath.Join(dir, "conf.d"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, text := range beside {
		if err := os.WriteFile(filepath.Join(dir, "conf.d", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestFilesOfConfDOverrideTheFileKeyByKey(t *testing.T) {
	path := files(t, "name: main\ndrain: 1s\nserve: {tftp: {write: no, kept: 3, allow: [private]}}\n", map[string]string{
		"20-late.yaml": "name: late\n", "10-early.yaml": "name: early\nserve: {tftp: {kept: 5, allow: any}}\n", "30.yaml": "# nothing\n",
		".40-hidden.yaml": "name: hidden\n", "50.yaml~": "name: backup\n", "README": "no YAML: at all: {",
	})
	c, err := Load(path, []string{"TALLYMAN_DRAIN=2s"})
	if err != nil {
		t.Fatal(err)
	}
	s := c.Serve.TFTP
	if c.Name != "late" || s.Write != "no" || s.Kept != 5 || strings.Join(s.Allow, " ") != "any" || c.Drain != Duration(2*time.Second) {
		t.Errorf("%+v", c)
	}
	if text := Show(c); !strings.Contains(text, "conf.d/20-late.yaml:1:7") || !strings.Contains(text, "conf.d/10-early.yaml:2:22") || !strings.Contains(text, "tallyman.yaml:3:23") {
		t.Error(text)
	}
}

func TestProblemsOfAllFilesAreToldWithTheirLines(t *testing.T) {
	path := files(t, "hame: x\nweb: {cert_file: a}\n", map[string]string{"1.yaml": "drain: soon\n", "2.yaml": "\tname: y\n", "3.yaml": "log:\n  lebel: info\n"})
	_, err := Load(path, []string{"TALLYMAN_DRAIN=never"})
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	want := []string{
		"environment TALLYMAN_DRAIN: drain", path + ":1:1: hame", path + ":2:18: web.cert_file", dir + "/conf.d/1.yaml:1:8: drain", dir + "/conf.d/2.yaml:1:1: a tab",
		dir + "/conf.d/3.yaml:2:3: log.lebel",
	}
	excerpts := []string{"", "hame: x", "web: {cert_file: a}", "drain: soon", "name: y", "lebel: info"}
	if len(problems) != len(want) {
		t.Fatal(err)
	}
	for i, p := range problems {
		if !strings.HasPrefix(p.Error(), want[i]) || !strings.Contains(p.Excerpt, excerpts[i]) {
			t.Errorf("%s, want %s beside %q", p.Error(), want[i], excerpts[i])
		}
	}
}

func TestConfDThatIsNoFolderOrHoldsTooMuchIsSaid(t *testing.T) {
	many := map[string]string{}
	for i := range maxPieces + 1 {
		many[strings.Repeat("x", i+1)+".yaml"] = ""
	}
	if _, err := Load(files(t, "", many), nil); err == nil || !strings.Contains(err.Error(), "holds 65 files") {
		t.Errorf("%v", err)
	}
	path := filepath.Join(t.TempDir(), "t.yaml")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.WriteFile(filepath.Join(filepath.Dir(path), "conf.d"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "conf.d") {
		t.Errorf("%v", err)
	}
}
