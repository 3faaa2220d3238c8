package host

import "testing"

func TestLongestMatchOfPathsAndExcludeWins(t *testing.T) {
	s := newScope(&Config{
		Paths:   []string{"/srv", "/tmp/mine", "/home/u/.cache/kept"},
		Exclude: []string{"/tmp", "/srv/scratch", "**/.cache/**", "**/.git/objects/**", "**/*.tmp", "/srv/*/private"},
		Own:     []string{"/srv/state"},
	})
	f := func(path string, want bool) {
		t.Helper()
		if s.wanted(path) != want {
			t.Errorf("%s is watched: %v", path, !want)
		}
	}
	f("/srv", true)
	f("/srv/a", true)
	f("/srvx", false)
	f("/etc/passwd", false)
	f("/srv/scratch", false)
	f("/srv/scratch/deep/a", false)
	f("/srv/scratchy", true)
	f("/tmp/mine/a", true) // a path within what is excluded
	f("/tmp/other", false)
	f("/srv/x/.cache/a", false)
	f("/srv/.cache", false)
	f("/home/u/.cache/kept/a", true)
	f("/srv/repo/.git/objects/ab/cd", false)
	f("/srv/repo/.git/config", true)
	f("/srv/a.tmp", false)
	f("/srv/a.tmpx", true)
	f("/srv/u/private/a", false)
	f("/srv/u/v/private/a", true)
	f("/srv/state/index", false)
}
