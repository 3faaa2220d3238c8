// Package cloud reads which folders the clients of clouds keep in step, from the clients' own configuration. It is pure: it is handed the text of a file.
//
// It promises: a text that is not understood is an error and yields nothing, and a folder is an absolute path without "..". It reads names of folders and
// accounts alone, never a password or token, even where one stands in the same file.
//
// It leaves to others: whose homes are looked at and when (source/mounts), and what no client tells: those folders are listed by the administrator
// (watch.mounts.classes).
package cloud

import (
	"path"
	"strings"
	"unicode/utf8"
)

// Folder is what a client keeps in step with its cloud.
type Folder struct {
	Path     string // absolute and clean
	Client   string // short name, as in dropbox
	Provider string // for people
	Account  string // what the client calls it: personal, an account name, a server; may be empty
}

// Client is one program, and where its configuration is.
type Client struct {
	Short, Provider string
	// Files are paths below a home. A star stands for part of one name.
	Files []string
	// Parse reads one of the files. home is where ~ is.
	Parse func(text []byte, home string) ([]Folder, error)
}

// Clients are those that are known. Where the configuration of a client cannot be read as text, its folder is the one that it makes by itself.
func Clients() []Client {
	return []Client{
		{"dropbox", "Dropbox", []string{".dropbox/info.json", ".var/app/com.dropbox.Client/.dropbox/info.json"}, dropbox},
		{"onedrive", "OneDrive", []string{".config/onedrive*/config", ".config/onedrive*/refresh_token"}, onedrive},
		{"nextcloud", "Nextcloud", []string{
			".config/Nextcloud/nextcloud.cfg", ".var/app/com.nextcloud.desktopclient.nextcloud/config/Nextcloud/nextcloud.cfg",
			"snap/nextcloud-desktop-client/current/.config/Nextcloud/nextcloud.cfg", ".local/share/Nextcloud/nextcloud.cfg",
		}, accounts("nextcloud", "Nextcloud")},
		{"owncloud", "ownCloud", []string{
			".config/ownCloud/owncloud.cfg", ".local/share/data/ownCloud/owncloud.cfg", ".var/app/com.owncloud.desktop_client.ownCloud/config/ownCloud/owncloud.cfg",
		}, accounts("owncloud", "ownCloud")},
		{"syncthing", "Syncthing", []string{
			".local/state/syncthing/config.xml", ".config/syncthing/config.xml", ".var/app/*.syncthing*/config/syncthing/config.xml", "snap/syncthing/common/syncthing/config.xml",
			"Library/Application Support/Syncthing/config.xml",
		}, syncthing},
		{"insync", "Google Drive (Insync)", []string{".config/Insync/settings.db", ".config/Insync/live/insync.db"}, standard("insync", "Google Drive (Insync)", "Insync")},
		{"mega", "MEGA", []string{".local/share/data/Mega Limited/MEGAsync/MEGAsync.cfg"}, standard("mega", "MEGA", "MEGA", "MEGAsync")},
		{"google-drive", "Google Drive (overGrive)", []string{".overgrive/config", ".config/overgrive"}, standard("google-drive", "Google Drive (overGrive)", "Google Drive")},
	}
}

// mostFolders bounds what one file may name.
const mostFolders = 1000

// clean makes a path that a client may have written absolute, or refuses it.
func clean(p, home string) (string, bool) {
	switch {
	case p == "~" || p == "$HOME" || p == "${HOME}":
		p = home
	case strings.HasPrefix(p, "~/"):
		p = home + p[1:]
	case strings.HasPrefix(p, "$HOME/"):
		p = home + strings.TrimPrefix(p, "$HOME")
	case strings.HasPrefix(p, "${HOME}/"):
		p = home + strings.TrimPrefix(p, "${HOME}")
	}
	if !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) || !utf8.ValidString(p) {
		return "", false
	}
	p = path.Clean(p)
	return p, p != "/"
}

// standard is the folder that a client makes when nobody tells it otherwise. Whether it is there is for others to see.
func standard(client, provider string, names ...string) func([]byte, string) ([]Folder, error) {
	return func(_ []byte, home string) (out []Folder, _ error) {
		for _, name := range names {
			if p, ok := clean("~/"+name, home); ok {
				out = append(out, Folder{p, client, provider, ""})
			}
		}
		return out, nil
	}
}
