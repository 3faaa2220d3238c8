package config

import (
	"errors"
	"maps"
	"testing"
)

func TestClassesOfFoldersAreReadAndShown(t *testing.T) {
	f := func(text string, want Classes, shown string) {
		t.Helper()
		c, err := Parse("t.yaml", []byte(text), nil)
		if err != nil || !maps.Equal(c.Watch.Mounts.Classes, want) || c.Watch.Mounts.Classes.text() != shown {
			t.Errorf("%s:\n got %v %s, %v", text, c.Watch.Mounts.Classes, c.Watch.Mounts.Classes.text(), err)
			return
		}
		again, err := Parse("t.yaml", []byte(Show(c)), nil)
		if err != nil || !maps.Equal(again.Watch.Mounts.Classes, want) {
			t.Errorf("what is shown is read as %v, %v", again.Watch.Mounts.Classes, err)
		}
	}
	f("watch: {mounts: {classes: {/mnt/backup: network, /a b/: cloud}}}", Classes{"/mnt/backup": "network", "/a b": "cloud"}, `{"/a b": cloud, /mnt/backup: network}`)
	f("watch:\n  mounts:\n    removable: false\n    classes:\n      /mnt/x: local\n", Classes{"/mnt/x": "local"}, "{/mnt/x: local}")
	f("watch: {mounts: {classes: {}}}", nil, "{}")
	f("watch: {mounts: {classes: }}", nil, "{}")
	c, err := Parse("t.yaml", nil, []string{"TALLYMAN_WATCH_MOUNTS_CLASSES=/mnt/a=removable, /mnt/b=cloud"})
	if want := (Classes{"/mnt/a": "removable", "/mnt/b": "cloud"}); err != nil || !maps.Equal(c.Watch.Mounts.Classes, want) {
		t.Errorf("from the environment: %v, %v", c.Watch.Mounts.Classes, err)
	}
}

func TestWrongClassOfAFolderIsRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Parse("t.yaml", []byte(text), nil)
		all, ok := errors.AsType[Problems](err)
		if !ok || len(all) != 1 || all[0].Key != "watch.mounts.classes" || all[0].Text != want {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
	f("watch: {mounts: {classes: {mnt: network}}}", `"mnt" is no absolute path, for example classes: {/mnt/backup: network}`)
	f("watch: {mounts: {classes: {/mnt: clod}}}",
		`"clod" is unknown, did you mean cloud? (known: local, removable, network, cloud), for example classes: {/mnt/backup: network}`)
	f("watch: {mounts: {classes: {/mnt: network, /mnt/: cloud}}}", `"/mnt/" stands here twice, for example classes: {/mnt/backup: network}`)
	f("watch: {mounts: {classes: [/mnt]}}", "expected a section, as in classes: {/mnt/backup: network}")
	f("watch: {mounts: {classes: {/mnt: [network]}}}", "expected text, as in classes: {/mnt/backup: network}")
}
