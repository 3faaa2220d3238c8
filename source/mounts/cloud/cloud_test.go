package cloud

import (
	"path"
	"slices"
	"strings"
	"testing"
)

func TestFoldersAreReadFromTheFilesOfTheClients(t *testing.T) {
	f := func(client, text string, want ...Folder) {
		t.Helper()
		i := slices.IndexFunc(Clients(), func(c Client) bool { return c.Short == client })
		got, err := Clients()[i].Parse([]byte(text), "/home/ann")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", client, got, err, want)
		}
	}
	f("dropbox", `{"personal": {"path": "/home/ann/Dropbox", "host": 4711, "is_team": false, "subscription_type": "Basic"}}`, Folder{"/home/ann/Dropbox", "dropbox", "Dropbox", "personal"})
	f("dropbox", `{"business": {"path": "/data/Dropbox (Acme)/"}, "personal": {"path": "/home/ann/Dr\u00f6pbox"}, "later": 3, "x": {"path": "relative"}}`,
		Folder{"/data/Dropbox (Acme)", "dropbox", "Dropbox", "business"}, Folder{"/home/ann/Dröpbox", "dropbox", "Dropbox", "personal"})
	f("onedrive", "# sync_dir = \"~/Elsewhere\"\n# skip_file = \"~*|.~*|*.tmp\"\n", Folder{"/home/ann/OneDrive", "onedrive", "OneDrive", ""})
	f("onedrive", "skip_dir=\"x\"\nsync_dir = \"~/One Drive/Work\"\n", Folder{"/home/ann/One Drive/Work", "onedrive", "OneDrive", ""})
	f("onedrive", "sync_dir=\"$HOME/OD\"\n", Folder{"/home/ann/OD", "onedrive", "OneDrive", ""})
	f("nextcloud", "[General]\nlocalPath=/no\n\n[Accounts]\n0\\Folders\\1\\localPath=/home/ann/Nextcloud/\n0\\Folders\\1\\targetPath=/\n"+
		"0\\url=https://ann:secret@cloud.example.org/nc\n0\\dav_user=ann\n1\\FoldersWithPlaceholders\\2\\localPath=\"/home/ann/B\\xfc cher, 2\"\nversion=2\n",
		Folder{"/home/ann/Nextcloud", "nextcloud", "Nextcloud", "ann@cloud.example.org"}, Folder{"/home/ann/Bü cher, 2", "nextcloud", "Nextcloud", ""})
	f("owncloud", "[Accounts]\r\n0\\Folders\\ab12\\localPath=/srv/oc\r\n0\\url=http://oc:8080/\r\n", Folder{"/srv/oc", "owncloud", "ownCloud", "oc:8080"})
	f("syncthing", `<configuration version="37"><folder id="ab-cd" label="Notes" path="~/Notes" type="sendreceive"><device id="X"/></folder>`+
		`<folder id="ef" label="" path="/srv/st/"/><defaults><folder id="" label="" path="~"/></defaults><gui><apikey>secret</apikey></gui></configuration>`,
		Folder{"/home/ann/Notes", "syncthing", "Syncthing", "Notes"}, Folder{"/srv/st", "syncthing", "Syncthing", "ef"})
	f("insync", "SQLite format 3\x00", Folder{"/home/ann/Insync", "insync", "Google Drive (Insync)", ""})
}

func TestTextThatIsNotUnderstoodYieldsNothing(t *testing.T) {
	f := func(client, text string) {
		t.Helper()
		i := slices.IndexFunc(Clients(), func(c Client) bool { return c.Short == client })
		if got, err := Clients()[i].Parse([]byte(text), "/home/ann"); err == nil || len(got) > 0 {
			t.Errorf("%s: %+v, %v", client, got, err)
		}
	}
	f("dropbox", `{"personal": {"path": "/home/ann/Drop`)
	f("dropbox", `[]`)
	f("onedrive", `sync_dir = "relative"`)
	f("nextcloud", "0\\Folders\\1\\localPath=/x\n")
	f("syncthing", `<configuration><folder path="/a"/>`)
	f("syncthing", `{}`+"<")
}

func TestRcloneRemoteIsFollowedToWhereContentGoes(t *testing.T) {
	all, err := Rclone([]byte("# comment\n[gd]\ntype = drive\ntoken = {\"access_token\":\"secret\"}\n\n[safe]\ntype = crypt\nremote = gd:vault\npassword = x\n\n" +
		"[nas]\ntype=sftp\nhost = nas\n[a]\ntype=alias\nremote=b:\n[b]\ntype=alias\nremote=a:\n[l]\ntype=alias\nremote=/srv/x\n"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(source, want string) {
		t.Helper()
		if got := Behind(all, source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
	f("gd:", "drive")
	f("safe:docs", "drive")
	f("nas:/data", "sftp")
	f("a:", "")
	f("l:", "local")
	f("none:", "")
	f("plain", "")
	if _, err := Rclone([]byte("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n")); err == nil {
		t.Error("an encrypted configuration was read")
	}
	for name, r := range all {
		if strings.Contains(name+r.Type+r.Wraps, "secret") {
			t.Errorf("a secret was read: %s %+v", name, r)
		}
	}
}

// FuzzParse: whatever is read is an absolute, clean path that the text or a default names, and no more than is bounded.
func FuzzParse(f *testing.F) {
	f.Add(0, []byte(`{"personal": {"path": "/home/ann/Dropbox"}}`))
	f.Add(1, []byte("sync_dir = \"~/One\"\n"))
	f.Add(2, []byte("[Accounts]\n0\\Folders\\1\\localPath=\"/a\\x20b\"\n0\\url=https://u:p@h/x\n"))
	f.Add(4, []byte(`<configuration><folder id="a" path="~/x"/></configuration>`))
	f.Fuzz(func(t *testing.T, which int, text []byte) {
		c := Clients()[(which%len(Clients())+len(Clients()))%len(Clients())]
		list, err := c.Parse(text, "/home/ann")
		if err != nil && len(list) > 0 || len(list) > mostFolders {
			t.Errorf("%d folders and %v", len(list), err)
		}
		for _, x := range list {
			if x.Path != path.Clean(x.Path) || !path.IsAbs(x.Path) || x.Path == "/" || strings.ContainsRune(x.Path, 0) || x.Client != c.Short {
				t.Errorf("%q of %s is no folder", x.Path, x.Client)
			}
		}
	})
}

func FuzzRclone(f *testing.F) {
	f.Add([]byte("[gd]\ntype = drive\ntoken = x\n[s]\ntype=crypt\nremote=gd:v\n"), "s:")
	f.Fuzz(func(t *testing.T, text []byte, source string) {
		all, err := Rclone(text)
		if err != nil && len(all) > 0 {
			t.Errorf("%d remotes and %v", len(all), err)
		}
		kind := Behind(all, source)
		if kind == "" || kind == "local" {
			return
		}
		for _, r := range all {
			if r.Type == kind {
				return
			}
		}
		t.Errorf("%q is the type of no remote", kind)
	})
}
