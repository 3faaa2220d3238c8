package watch

import (
	"strings"
	"testing"

	"tallyman/source/logs"
	"tallyman/source/servers"
	"tallyman/source/servers/daemon"
)

func server(name, proto string, port uint16, folders ...string) servers.Server {
	return servers.Server{Setup: daemon.Setup{Name: name, Proto: proto, Port: port, Programs: []string{name}}, Folders: folders, Syslog: true}
}

func TestThePlanFollowsTheServers(t *testing.T) {
	ftp := server("vsftpd", "ftp", 2121, "/srv/ftp", "/srv/both")
	ftp.Files, ftp.Syslog = []daemon.Log{{Path: "/var/log/vsftpd.log", Format: "vsftpd"}}, false
	p := planFor([]servers.Server{server("in.tftpd", "tftp", 69, "/srv/tftp", "/srv/both"), ftp}, nil, true, nil)
	if got, want := p.forFiles(), `"/srv/both"  ["in.tftpd" "vsftpd"]`+"\n"+`"/srv/ftp" ftp ["vsftpd"]`+"\n"+`"/srv/tftp" tftp ["in.tftpd"]`; got != want {
		t.Errorf("folders:\n%s", got)
	}
	if got := p.forLogs(); got != "\"/var/log/vsftpd.log\" vsftpd\njournal" {
		t.Errorf("logs:\n%s", got)
	}
	if got := p.forWire(); got != "[69] [21 2121] true" {
		t.Errorf("wire: %s", got)
	}
}

func TestWithoutServersOnlyPacketsAreWatched(t *testing.T) {
	p := planFor(nil, nil, true, []logs.File{{Path: "/var/log/syslog"}})
	if p.forFiles() != "" || p.forLogs() != "" || p.forWire() != "[69] [21] false" {
		t.Errorf("%q %q %q", p.forFiles(), p.forLogs(), p.forWire())
	}
}

// A log that repeats what the journal has would make two records of each transfer.
func TestWhatTheJournalHasIsNotReadAgain(t *testing.T) {
	pure := server("pure-ftpd", "ftp", 21, "/srv/ftp")
	pure.Files = []daemon.Log{{Path: "/var/log/transfer.log", Format: "pure-ftpd-clf", Again: true}}
	f := func(journal bool, syslogs []logs.File, apart bool, want string) {
		t.Helper()
		pure.Apart.Files = apart
		if p := planFor([]servers.Server{pure}, nil, journal, syslogs); p.forLogs() != want {
			t.Errorf("logs: %s, not %s", p.forLogs(), want)
		}
	}
	f(true, nil, false, "journal")
	f(false, []logs.File{{Path: "/var/log/syslog", Format: "syslog"}}, false, `"/var/log/syslog" syslog`)
	f(false, nil, false, `"/var/log/transfer.log" pure-ftpd-clf`)
	f(true, nil, true, "\"/var/log/transfer.log\" pure-ftpd-clf\njournal")
}

func TestWithoutAJournalTheFilesOfSyslogAreRead(t *testing.T) {
	p := planFor([]servers.Server{server("in.tftpd", "tftp", 69)}, nil, false, []logs.File{{Path: "/var/log/syslog", Format: "syslog"}})
	if got := p.forLogs(); got != `"/var/log/syslog" syslog` {
		t.Errorf("logs: %s", got)
	}
}

func TestPathsByHandAreTheOnlyFolders(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		p := planFor([]servers.Server{server("in.tftpd", "tftp", 69, "/srv/tftp")}, []string{path}, true, nil)
		if got := p.forFiles(); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	f("/srv/tftp", `"/srv/tftp" tftp ["in.tftpd"]`)
	f("/srv/tftp/pxe", `"/srv/tftp/pxe" tftp ["in.tftpd"]`)
	f("/srv", `"/srv" tftp ["in.tftpd"]`)
	f("/srv/tf", `"/srv/tf"  []`)
}

// The restart of a server, or its end, makes no witness begin again.
func TestWhatAnEndedServerLeftIsWatchedOn(t *testing.T) {
	before := planFor([]servers.Server{server("in.tftpd", "tftp", 6969, "/srv/tftp")}, nil, true, nil)
	after := planFor(nil, nil, true, nil).with(before)
	if before.forFiles() != after.forFiles() || before.forLogs() != after.forLogs() || before.forWire() != after.forWire() {
		t.Errorf("%+v, then %+v", before, after)
	}
}

func TestCoverageSaysWhatIsProvenAndWhatWouldProveMore(t *testing.T) {
	f := func(s servers.Server, states, proof, more string) {
		t.Helper()
		var all []Witness
		for i, name := range []string{"wire", "files", "log"} {
			all = append(all, Witness{Name: name, State: map[byte]State{'l': Live, 'f': Failed, 'o': Off}[states[i]]})
		}
		v := see(&s, all)
		if !strings.Contains(v.Proof, proof) {
			t.Errorf("%s of %s proves: %s", states, s.Name, v.Proof)
		}
		var said []string
		for _, c := range v.Cover {
			said = append(said, c.Lacks, c.More)
		}
		if got := strings.Join(said, "|"); !strings.Contains(got, more) {
			t.Errorf("%s of %s would prove more: %s", states, s.Name, got)
		}
	}
	tftp := server("in.tftpd", "tftp", 69, "/srv/tftp")
	tftp.Advice = []string{"it runs without -vv; add -vv"}
	f(tftp, "lll", "stored short are found", "it runs without -vv|add -vv")
	f(tftp, "lol", "not found without files", "add -vv")
	f(tftp, "fll", "without packets nothing is proven complete", "add -vv")
	f(tftp, "ffl", "transfers are unproven", "")
	f(tftp, "fff", "nothing is seen", "")
	f(server("dnsmasq", "tftp", 69), "lll", "stored short", "tallyman watch /srv/tftp")
	sftp := server("openssh", "sftp", 22, "/home")
	f(sftp, "lll", "nothing is proven complete", "")
	sftp.Tells.Ends = true
	f(sftp, "lll", "proven by log and file together", "")
	apart := server("vsftpd", "ftp", 21)
	apart.Apart.Net, apart.Unreached = true, []string{"/srv"}
	f(apart, "lll", "stored short", "its loopback is unseen")
	f(apart, "lll", "", "mount a folder of this machine there")
	tftp.Shares = []string{"/srv/tftp (nfs4)"}
	f(tftp, "lll", "", "/srv/tftp (nfs4) is a network share: what other machines write there is unseen|watch on the machine that holds the files")
}
