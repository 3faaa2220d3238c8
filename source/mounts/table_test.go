package mounts

import (
	"fmt"
	"strings"
	"testing"

	"tallyman/source/mounts/mountinfo"
)

// lines reads a table.
func lines(t *testing.T, text string) []mountinfo.Mount {
	t.Helper()
	all, refused := mountinfo.ParseAll([]byte(strings.TrimLeft(text, "\n")))
	if refused > 0 {
		t.Fatalf("%d lines refused", refused)
	}
	return all
}

// said puts changes into words.
func said(changes []change) string {
	var out []string
	for _, c := range changes {
		switch c.what {
		case appeared:
			out = append(out, "+"+c.now.place.Path)
		case went:
			out = append(out, "-"+c.old.place.Path)
		case moved:
			out = append(out, c.old.place.Path+">"+c.now.place.Path)
		case remounted:
			out = append(out, fmt.Sprintf("%s ro=%v", c.now.place.Path, c.now.place.ReadOnly))
		}
	}
	return strings.Join(out, " ")
}

func plainly(m *mountinfo.Mount, _ []*seen) *seen { return &seen{line: *m, place: placeOf(m)} }

const (
	root  = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
	stick = "50 27 8:17 / /media/stick rw - vfat /dev/sdb1 rw\n"
	inner = "51 50 0:40 / /media/stick/in rw - tmpfs tmpfs rw\n"
)

func TestChangesAreWhatTheTableSays(t *testing.T) {
	f := func(before, after, want string) {
		t.Helper()
		var tab table
		tab.update(lines(t, before), plainly)
		if got := said(tab.update(lines(t, after), plainly)); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if got := said(tab.update(lines(t, after), plainly)); got != "" {
			t.Errorf("the same table again changes %q", got)
		}
	}
	f(root, root+stick, "+/media/stick")
	f(root, root+stick+inner, "+/media/stick +/media/stick/in")
	f(root+stick+inner, root, "-/media/stick/in -/media/stick") // lazily, all at once: the innermost first
	f(root+stick, strings.Replace(root+stick, "/media/stick rw", "/media/other rw", 1), "/media/stick>/media/other")
	f(root+stick, strings.Replace(root+stick, "/media/stick rw", "/media/stick ro", 1), "/media/stick ro=true")
	f(root+stick, strings.Replace(root+stick, "sdb1 rw", "sdb1 ro", 1), "/media/stick ro=true")
	f(root+stick, strings.Replace(root+stick, "/media/stick rw", "/media/stick rw,noatime", 1), "")
	f(root+stick, strings.Replace(root+stick, "/media/stick rw", "/media/stick rw shared:7", 1), "")
	// The id is used again: what was there went, even where it looks alike.
	f(root+stick, root+"50 27 8:33 / /media/stick rw - vfat /dev/sdc1 rw\n", "-/media/stick +/media/stick")
	f(root+stick, root+"50 27 8:17 /sub /media/stick rw - vfat /dev/sdb1 rw\n", "-/media/stick +/media/stick")
	// One mount covers another of the same place.
	f(root+stick, root+stick+"52 50 0:41 / /media/stick rw - tmpfs tmpfs rw\n", "+/media/stick")
	f(root+stick+"52 50 0:41 / /media/stick rw - tmpfs tmpfs rw\n", root+stick, "-/media/stick")
}

func TestStackedMountAnswersForItsPath(t *testing.T) {
	var tab table
	tab.update(lines(t, root+stick+"52 50 0:41 / /media/stick rw - tmpfs cover rw\n"), plainly)
	p := Places{mounts: tab.places()}
	f := func(path, source string) {
		t.Helper()
		if at, ok := p.Of(path); !ok || at.Source != source {
			t.Errorf("%s lies on %+v, %v", path, at, ok)
		}
	}
	f("/media/stick/a", "cover")
	f("/media/stick", "cover")
	f("/media/sticky", "/dev/vda")
	f("/", "/dev/vda")
	if at, ok := p.OfMount(50); !ok || at.Source != "/dev/sdb1" {
		t.Errorf("%+v %v", at, ok)
	}
	if _, ok := p.OfMount(99); ok {
		t.Error("a mount that is not there is known")
	}
}
