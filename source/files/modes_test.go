//go:build root

package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/files"
)

// each runs a test in all modes: what they have in common.
func each(t *testing.T, test func(t *testing.T, mode files.Mode)) {
	t.Helper()
	for _, mode := range []files.Mode{files.FileSystem, files.Folders, files.Inotify} {
		t.Run(string(mode), func(t *testing.T) { test(t, mode) })
	}
}

func TestUploadUnderATemporaryNameIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode))
		r.act(order{Do: "create", Path: ".in.up"}, order{Do: "write", N: 900}, order{Do: "close"})
		r.settled()
		r.act(order{Do: "rename", Path: ".in.up", To: "up"})
		got := r.tells("opened put .in.up", "closed put .in.up 900", "renamed rename up from .in.up 900")
		if got[0].File == "" || got[0].File != got[2].File || got[1].Proc != got[2].Proc {
			t.Errorf("told %s", tale(got))
		}
	})
}

func TestRenameOfAnOpenFileIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode), having("up", 5))
		r.act(order{Do: "create", Path: "tmp"})
		r.settled()
		r.act(order{Do: "rename", Path: "tmp", To: "up"}) // over an old file
		r.settled()
		r.act(order{Do: "write", N: 70}, order{Do: "close"})
		r.tells("opened put tmp", "renamed rename up from tmp 0", "closed put up from tmp 70")
	})
}

func TestRenameOfAFolderIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode), func(r *rig) { _ = os.MkdirAll(r.path("a/b"), 0o755) })
		r.act(order{Do: "create", Path: "a/b/f"})
		r.settled()
		r.act(order{Do: "rename", Path: "a", To: "c"})
		r.settled()
		r.act(order{Do: "write", N: 70}, order{Do: "close"}, order{Do: "put", Path: "c/b/g", N: 3})
		r.tells("opened put a/b/f", "renamed rename c from a -1", "closed put c/b/f from a/b/f 70", "opened put c/b/g", "closed put c/b/g 3")
	})
}

func TestFileThatIsDeletedWhileOpenIsToldToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode))
		r.act(order{Do: "create", Path: "up"}, order{Do: "write", N: 100})
		r.settled()
		r.act(order{Do: "remove", Path: "up"})
		r.settled()
		r.act(order{Do: "write", N: 50})
		r.settled()
		r.act(order{Do: "close"})
		got := r.settled()
		last := got[len(got)-1]
		if len(got) != 3 || got[1].Kind != tallyman.KindDeleted || last.Kind != tallyman.KindClosed || details(t, last)["deleted"] != true || got[1].File != last.File {
			t.Errorf("told %s", tale(got))
		}
		if last.Size != 150 && mode != files.Inotify { // which cannot look at a file without a name
			t.Errorf("size %d", last.Size)
		}
	})
}

func TestDeleteIsTold(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode), having("a", 9))
		r.act(order{Do: "open", Path: "a"}, order{Do: "close"})
		r.settled()
		r.act(order{Do: "remove", Path: "a"})
		r.tells("opened get a 9", "closed get a 9", "deleted delete a")
	})
}

func TestAnyNameIsTold(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode))
		for i, name := range []string{
			"a\nb", "\xff\xfe", strings.Repeat("x", 255), " ", "a (deleted)", "\\134", "-rf", "ü", "a\x1b[31m",
		} {
			r.act(order{Do: "put", Path: r.root + "/" + name, N: 10 + i})
			r.settled()
			got := r.have(func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindClosed && e.Path == r.root+"/"+name })
			if len(got) != 1 || got[0].Size != int64(10+i) {
				t.Errorf("%q: told %s", name, tale(r.have(all)))
			}
		}
	})
}

func TestDeepTreesAreWatched(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		deep := strings.Repeat("d/", 500)
		r := newRig(t, in(mode), func(r *rig) {
			if err := os.MkdirAll(r.path(deep), 0o755); err != nil {
				t.Fatal(err)
			}
		})
		r.act(order{Do: "put", Path: deep + "f", N: 4})
		r.tells("opened put "+deep+"f", "closed put "+deep+"f 4")
	})
}

func TestNewFoldersAreWatched(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode))
		r.act(order{Do: "mkdir", Path: "a/b"})
		r.settled()
		r.act(order{Do: "put", Path: "a/b/f", N: 4})
		r.tells("opened put a/b/f", "closed put a/b/f 4")
	})
}

// What is made in a new folder at once may be missed by watches on folders; then its end is found by looking, and that is said.
func TestNoFileInANewFolderStaysUntold(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		const n = 300
		r := newRig(t, in(mode), func(r *rig) { r.cfg.Account.Rest = 100 * time.Millisecond })
		r.act(order{Do: "race", Path: r.root, N: n})
		leaves := r.until(t, n, func(e *tallyman.Evidence) bool {
			return e.Kind == tallyman.KindClosed && strings.HasSuffix(e.Path, "/b/c/d/e/leaf")
		})
		met := map[string]bool{}
		for _, e := range leaves {
			if met[e.Path] || e.Size != 10 {
				t.Errorf("told twice or of another size: %s", tale([]tallyman.Evidence{e}))
			}
			met[e.Path] = true
			if d := details(t, e); d["close"] == "unseen" && (mode == files.FileSystem || d["found"] != true) {
				t.Errorf("told %s", tale([]tallyman.Evidence{e}))
			}
		}
	})
}

func TestLinkOutOfTheRootIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		away := folder(t)
		if err := os.WriteFile(filepath.Join(away, "image"), make([]byte, 8), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(away, "other"), make([]byte, 8), 0o644); err != nil {
			t.Fatal(err)
		}
		pool := folder(t)
		r := newRig(t, in(mode), func(r *rig) { _ = os.Symlink(filepath.Join(away, "image"), r.path("image")) })
		r.act(order{Do: "symlink", Path: "pool", To: pool})
		r.settled()
		r.act(order{Do: "open", Path: "image"}, order{Do: "close"})
		r.actor.do(order{Do: "open", Path: filepath.Join(away, "other")})
		r.actor.do(order{Do: "close"})
		r.settled()
		r.actor.do(order{Do: "put", Path: r.path("pool/f"), N: 6})
		r.tells("opened get "+away+"/image 8", "closed get "+away+"/image 8", "opened put "+pool+"/f", "closed put "+pool+"/f 6")
	})
}

func TestMoveOutOfTheRootAndIntoIt(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		away := folder(t)
		r := newRig(t, in(mode), having("a", 7))
		r.act(order{Do: "rename", Path: "a", To: filepath.Join(away, "b")})
		r.settled()
		r.act(order{Do: "rename", Path: filepath.Join(away, "b"), To: "c"})
		if mode == files.FileSystem {
			r.tells("renamed rename "+away+"/b from a 7", "renamed rename c from "+away+"/b 7")
			return
		}
		got := r.settled()
		if len(got) != 2 || got[1].Path != r.path("c") || got[1].Kind != tallyman.KindRenamed {
			t.Errorf("told %s", tale(got))
		}
	})
}

func TestEndOfTheWatchTellsWhatWaits(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		r := newRig(t, in(mode))
		r.gate.Lock()
		r.act(order{Do: "put", Path: "mark0", N: 1})
		r.waitHeld()
		r.act(order{Do: "put", Path: "last", N: 5})
		r.gate.Unlock()
		r.stop()
		if got := r.have(func(e *tallyman.Evidence) bool { return e.Kind == tallyman.KindClosed && e.Path == r.path("last") }); len(got) != 1 {
			t.Errorf("told %s", tale(r.have(all)))
		}
	})
}

func TestStretchSinceTheFormerWatchIsAGap(t *testing.T) {
	each(t, func(t *testing.T, mode files.Mode) {
		before := newRig(t)
		since := before.settled()
		_ = since
		at := before.have(all)[0].Time
		r := newRig(t, in(mode), func(r *rig) { r.cfg.Since = at })
		got := r.tells("gap   -1")
		if len(got) != 1 || !got[0].Began.Equal(at) || !got[0].Time.After(at) {
			t.Errorf("told %s", tale(got))
		}
	})
}
