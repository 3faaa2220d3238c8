//go:build root

package files_test

import (
	"os"
	"testing"

	"tallyman"
	"tallyman/source/files"
)

func TestReadIsTold(t *testing.T) {
	r := newRig(t, func(r *rig) { _ = os.WriteFile(r.path("a"), make([]byte, 3000), 0o644) })
	r.act(order{Do: "open", Path: "a"}, order{Do: "read", N: 512}, order{Do: "close"})
	got := r.tells("opened get a 3000", "closed get a 3000")
	if got[0].Proc.PID != r.actor.pid() || got[0].Proc.Start == 0 || got[0].Proc != got[1].Proc {
		t.Errorf("process %+v, the actor is %d", got[0].Proc, r.actor.pid())
	}
	if got[0].File == "" || got[0].File != got[1].File || !got[1].Began.Equal(got[0].Time) || got[1].Began.IsZero() {
		t.Errorf("they do not belong together: %+v", got)
	}
	d := details(t, got[1])
	if d["close"] != "nowrite" || d["accessed"] != true || d["modified"] != false || d["created"] != false || d["comm"] != "files.test" || d["user"] != "root" {
		t.Errorf("details %v", d)
	}
}

func TestUploadIsTold(t *testing.T) {
	r := newRig(t)
	r.act(order{Do: "create", Path: "a"}, order{Do: "write", N: 2000}, order{Do: "write", N: 1000}, order{Do: "close"})
	got := r.tells("opened put a 0", "closed put a 3000")
	if d := details(t, got[1]); d["close"] != "write" || d["created"] != true || d["modified"] != true || d["accessed"] != false {
		t.Errorf("details %v", d)
	}
}

var modes = []files.Mode{files.FileSystem, files.Folders, files.Inotify}

var _ = tallyman.KindGap
