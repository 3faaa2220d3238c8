package watch

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/witness"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func stands(at time.Time, why string) Standing {
	posts := []witness.Post{{Witness: "wire", Why: why, Sees: why == ""}}
	return Standing{At: at, Ran: true, All: []witness.Post{{Witness: "wire", Why: "all " + why}}, Servers: []Stood{
		{Name: "tftpd-hpa", Proto: "tftp", Ports: []uint16{69}, Folders: []string{"/srv/tftp"}, Posts: posts},
		{Name: "dnsmasq", Proto: "tftp", Ports: []uint16{6969}, Folders: []string{"/srv/boot"}, Posts: posts},
		{Name: "vsftpd", Proto: "ftp", Ports: []uint16{21}, Folders: []string{"/home"}, Posts: posts},
	}}
}

func note(t *testing.T, h *History, all ...Standing) {
	t.Helper()
	for _, s := range all {
		if err := h.Note(s); err != nil {
			t.Fatal(err)
		}
	}
}

func began(at time.Time, proto, path, server string) *tallyman.Transfer {
	tr := &tallyman.Transfer{Start: at, Proto: proto, Path: path}
	if server != "" {
		tr.Server = must(server)
	}
	return tr
}

func TestTheWhyOfAnOldTransferKnowsWhoWatchedThen(t *testing.T) {
	state := t.TempDir()
	h, err := OpenHistory(state, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	note(t, h, stands(noon, "not allowed"), stands(noon.Add(time.Minute), "not allowed"), stands(noon.Add(time.Hour), ""), Standing{At: noon.Add(2 * time.Hour)})
	b, err := os.ReadFile(filepath.Join(state, historyFile))
	if err != nil || strings.Count(string(b), "\n") != 3 {
		t.Errorf("what has not changed is written down: %v\n%s", err, b)
	}
	f := func(tr *tallyman.Transfer, server, why string) {
		t.Helper()
		w, err := Then(state, tr)
		if err != nil || w.Server != server || len(w.Posts) == 0 || w.Posts[0].Why != why {
			t.Errorf("%+v: %+v %v", tr, w, err)
		}
	}
	f(began(noon.Add(2*time.Minute), "tftp", "/srv/tftp/a", ""), "tftpd-hpa", "not allowed")
	f(began(noon.Add(-time.Second), "tftp", "/srv/tftp/a", ""), "tftpd-hpa", "not allowed") // a stamp of whole seconds
	f(began(noon.Add(2*time.Minute), "tftp", "a", "10.0.0.1:6969"), "dnsmasq", "not allowed")
	f(began(noon.Add(time.Hour), "ftps", "", ""), "vsftpd", "")
	f(began(noon.Add(time.Hour), "tftp", "", ""), "", "all ") // which of two is not known
	f(began(noon.Add(3*time.Hour), "tftp", "/srv/tftp/a", ""), "", "the program did not run")

	own := began(noon.Add(time.Hour), "tftp", "/srv/tftp/a", "")
	own.Evidence = []tallyman.Evidence{{Witness: "server"}}
	if w, err := Then(state, own); err != nil || w.Posts != nil {
		t.Errorf("our own server: %+v %v", w, err)
	}
	if w, err := Then(t.TempDir(), began(noon, "tftp", "", "")); err != nil || w.Posts != nil {
		t.Errorf("without a history: %+v %v", w, err)
	}
}

func TestARunThatWasKilledWatchedNoLongerThanItWasSeen(t *testing.T) {
	state := t.TempDir()
	h, err := OpenHistory(state, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	note(t, h, stands(noon, ""))
	f, err := os.OpenFile(filepath.Join(state, historyFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"at":"2026-11-27T12:0`) // cut by the kill
	_ = f.Close()
	if h, err = OpenHistory(state, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	note(t, h, stands(noon.Add(2*time.Hour), ""))
	for after, ran := range map[time.Duration]bool{time.Minute: true, 90 * time.Minute: false, 3 * time.Hour: true} {
		w, err := Then(state, began(noon.Add(after), "ftp", "", ""))
		if err != nil || (w.Server == "vsftpd") != ran {
			t.Errorf("%s: %+v %v", after, w, err)
		}
	}
}

func TestTheHistoryIsBounded(t *testing.T) {
	state := t.TempDir()
	h, err := OpenHistory(state, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	why := strings.Repeat("why ", 20000)
	for i := range 8 {
		note(t, h, stands(noon.Add(time.Duration(i)*time.Hour), why[i:]))
	}
	st, err := os.Stat(filepath.Join(state, historyFile))
	if err != nil || st.Size() > historyMost {
		t.Fatalf("%d bytes, %v", st.Size(), err)
	}
	if w, err := Then(state, began(noon.Add(8*time.Hour), "ftp", "", "")); err != nil || w.Posts[0].Why != why[7:] {
		t.Errorf("the newest is lost: %v", err)
	}
}

func must(addr string) netip.AddrPort { return netip.MustParseAddrPort(addr) }

func TestPacketsWithoutAProcessAreSaidOfServersOfTFTPAlone(t *testing.T) {
	all := []Witness{{Name: "wire", State: Live, Nameless: "Linux is too old", Named: "Linux 6.10"}, {Name: "files", State: Live}, {Name: "log", State: Live}}
	tftp, ftp := server("in.tftpd", "tftp", 69, "/srv/tftp"), server("vsftpd", "ftp", 21, "/home")
	if c := see(&tftp, all).Cover[0]; c.State != Live || c.Nameless != "Linux is too old" || c.Lacks != "the process behind a packet: Linux is too old" || c.More != "Linux 6.10" {
		t.Errorf("%+v", c)
	}
	if p := see(&tftp, all).Cover[0]; p.post().Nameless != "Linux is too old" || p.post().Named != "Linux 6.10" || !p.post().Sees {
		t.Errorf("%+v", p.post())
	}
	if c := see(&ftp, all).Cover[0]; c.Nameless != "" || c.Lacks != "" {
		t.Errorf("%+v", c)
	}
}

func TestAWireThatNamesNoProcessSaysSoFromTheStart(t *testing.T) {
	a := &actor{}
	_, p, to := rig(a, time.Time{})
	open := p.open
	p.open = func(pl *plan, since time.Time) (*work, error) {
		w, err := open(pl, since)
		w.nameless = func() string { return "Linux is too old" }
		return w, err
	}
	p.adapt(t.Context(), &plan{tftp: []uint16{69}}, to)
	defer p.stop()
	if s := p.status(); s.State != Live || s.Nameless != "Linux is too old" || s.Named != names {
		t.Errorf("%+v", s)
	}
}
