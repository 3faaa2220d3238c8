package cloud

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// dropbox reads info.json: one member for each account (personal, business), each with its path
// (help.dropbox.com/installs/locate-dropbox-folder).
func dropbox(text []byte, home string) (out []Folder, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read info.json: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var account struct {
			Path string `json:"path"`
		}
		if json.Unmarshal(all[name], &account) != nil {
			continue // of a newer client
		}
		if p, ok := clean(account.Path, home); ok && len(out) < mostFolders {
			out = append(out, Folder{p, "dropbox", "Dropbox", name})
		}
	}
	return out, nil
}

// onedrive reads the configuration of abraunegg's client: sync_dir, by default ~/OneDrive (docs/usage.md there). A token without a configuration means all
// defaults; the token is not read: it has no line of this form.
func onedrive(text []byte, home string) ([]Folder, error) {
	dir := "~/OneDrive"
	for l := range bytes.Lines(text) {
		key, value, ok := strings.Cut(string(bytes.TrimSpace(l)), "=")
		if !ok || strings.TrimSpace(key) != "sync_dir" {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		dir = value
	}
	p, ok := clean(dir, home)
	if !ok {
		return nil, errors.New("sync_dir is no path")
	}
	return []Folder{{p, "onedrive", "OneDrive", ""}}, nil
}

// accounts reads nextcloud.cfg and owncloud.cfg, which QSettings writes: N\url, N\dav_user and N\Folders\M\localPath in [Accounts], and the same below
// FoldersWithPlaceholders and Multifolders (desktop: src/libsync/configfile.cpp, src/gui/folderman.cpp).
func accounts(client, provider string) func([]byte, string) ([]Folder, error) {
	return func(text []byte, home string) ([]Folder, error) {
		section, whole := "", false
		server, user := map[string]string{}, map[string]string{}
		type found struct{ account, path string }
		var list []found
		for l := range bytes.Lines(text) {
			s := strings.TrimSpace(string(l))
			switch {
			case s == "", s[0] == ';', s[0] == '#':
				continue
			case s[0] == '[' && s[len(s)-1] == ']':
				section, whole = s[1:len(s)-1], true
				continue
			}
			key, value, ok := strings.Cut(s, "=")
			if !ok || section != "Accounts" {
				continue
			}
			parts := strings.Split(key, `\`)
			switch last := parts[len(parts)-1]; {
			case len(parts) == 4 && last == "localPath" && strings.Contains(parts[1], "olders") && len(list) < mostFolders:
				list = append(list, found{parts[0], unquote(value)})
			case len(parts) == 2 && last == "url":
				server[parts[0]] = host(unquote(value))
			case len(parts) == 2 && (last == "dav_user" || last == "webflow_user" || last == "http_user" || last == "user") && user[parts[0]] == "":
				user[parts[0]] = unquote(value)
			}
		}
		if !whole && len(bytes.TrimSpace(text)) > 0 {
			return nil, errors.New("no section: expected [Accounts]")
		}
		var out []Folder
		for _, f := range list {
			p, ok := clean(f.path, home)
			if !ok {
				continue
			}
			account := server[f.account]
			if u := user[f.account]; u != "" && account != "" {
				account = u + "@" + account
			}
			out = append(out, Folder{p, client, provider, account})
		}
		return out, nil
	}
}

// host cuts a URL down to the machine: what stands before an @ may be a password.
func host(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	url, _, _ = strings.Cut(url, "/")
	if at := strings.LastIndexByte(url, '@'); at >= 0 {
		url = url[at+1:]
	}
	return url
}

// unquote undoes what QSettings does to a value: quotes, \\, \", \n, \t and \x with one to four hexadecimal digits (qsettings.cpp, iniEscapedString).
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'x':
			end := i + 1
			for end < len(s) && end < i+5 && strings.IndexByte("0123456789abcdefABCDEF", s[end]) >= 0 {
				end++
			}
			if n, err := strconv.ParseUint(s[i+1:end], 16, 16); err == nil {
				b.WriteRune(rune(n))
			}
			i = end - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// syncthing reads the folders of config.xml. The one below <defaults> is a pattern for new ones, and no folder
// (docs.syncthing.net/users/config.html).
func syncthing(text []byte, home string) (out []Folder, err error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	var at []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read config.xml: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			at = append(at, t.Name.Local)
			if len(at) != 2 || at[0] != "configuration" || at[1] != "folder" {
				continue
			}
			f := Folder{Client: "syncthing", Provider: "Syncthing"}
			named := ""
			for _, a := range t.Attr {
				switch a.Name.Local {
				case "path":
					f.Path = a.Value
				case "id":
					f.Account = a.Value
				case "label":
					named = a.Value
				}
			}
			if named != "" {
				f.Account = named
			}
			var ok bool
			if f.Path, ok = clean(f.Path, home); ok && len(out) < mostFolders {
				out = append(out, f)
			}
		case xml.EndElement:
			at = at[:len(at)-1]
		}
	}
	if len(at) > 0 {
		return nil, errors.New("config.xml ends early")
	}
	return out, nil
}

// Remote is one entry of rclone.conf: how it is spoken to, and for those that wrap another (crypt, alias, cache), which.
type Remote struct{ Type, Wraps string }

// Rclone reads the remotes of rclone.conf: type and remote of each section, nothing else (rclone.org/docs/#configuration-file). An encrypted file is an error.
func Rclone(text []byte) (map[string]Remote, error) {
	if bytes.Contains(text, []byte("RCLONE_ENCRYPT_V")) {
		return nil, errors.New("rclone.conf is encrypted")
	}
	out := map[string]Remote{}
	section := ""
	for l := range bytes.Lines(text) {
		s := strings.TrimSpace(string(l))
		if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			section = s[1 : len(s)-1]
			continue
		}
		key, value, ok := strings.Cut(s, "=")
		if !ok || section == "" || len(out) > mostFolders {
			continue
		}
		r := out[section]
		switch strings.TrimSpace(key) {
		case "type":
			r.Type = strings.TrimSpace(value)
		case "remote":
			r.Wraps = strings.TrimSpace(value)
		default:
			continue
		}
		out[section] = r
	}
	return out, nil
}

// Behind follows a remote to where the content goes at last: its type, as in drive, s3, sftp. "" when the configuration does not say.
func Behind(all map[string]Remote, source string) string {
	for range 8 { // wrapped in each other; more is a circle
		name, _, ok := strings.Cut(source, ":")
		r, known := all[name]
		if !ok || !known {
			if strings.HasPrefix(source, "/") {
				return "local"
			}
			return ""
		}
		if r.Wraps == "" || !slices.Contains([]string{"alias", "crypt", "cache", "chunker", "compress", "hasher"}, r.Type) {
			return r.Type
		}
		source = r.Wraps
	}
	return ""
}

// Providers names what rclone calls otherwise.
func Providers(kind string) string {
	names := map[string]string{
		"drive": "Google Drive", "onedrive": "OneDrive", "dropbox": "Dropbox", "s3": "S3", "box": "Box", "mega": "MEGA", "pcloud": "pCloud", "b2": "Backblaze B2",
		"gphotos": "Google Photos", "google photos": "Google Photos", "google cloud storage": "Google Cloud Storage", "azureblob": "Azure Blob Storage",
		"protondrive": "Proton Drive", "yandex": "Yandex Disk", "jottacloud": "Jottacloud", "koofr": "Koofr", "swift": "OpenStack Swift", "hidrive": "HiDrive",
	}
	if n, ok := names[kind]; ok {
		return n
	}
	return kind
}
