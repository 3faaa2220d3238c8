package mounts

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/mounts/cloud"
	"tallyman/source/mounts/device"
	"tallyman/source/mounts/mountinfo"
)

// home is whose configuration is looked at.
type home struct {
	path, user string
	uid        uint32
}

// stamp tells one state of a file from another.
type stamp struct {
	ino         uint64
	size        int64
	mtim, ctime unix.Timespec
}

// config is a file of a cloud client as it was read last.
type config struct {
	stamp stamp
	list  []cloud.Folder
}

// survey is what was found on the disk: it is made beside the watch, since to look at files of users may hang.
type survey struct {
	homes   []home
	folders map[string]Place // by path
	remotes []remotes
}

// remotes are what the rclone.conf of one user says.
type remotes struct {
	user string
	all  map[string]cloud.Remote
}

// surveyor looks for the configurations of cloud clients. It is for one goroutine.
type surveyor struct {
	cfg    *Config
	log    *slog.Logger
	places *Places

	passwd  stamp
	homes   []home
	files   map[string]config
	folders map[string]Place
	rclone  map[string]rcloneConf
	odd     map[string]bool // files that were not understood, and were said
}

type rcloneConf struct {
	stamp stamp
	all   map[string]cloud.Remote
}

func newSurveyor(cfg *Config, log *slog.Logger, places *Places) *surveyor {
	return &surveyor{cfg: cfg, log: log, places: places, files: map[string]config{}, rclone: map[string]rcloneConf{}, odd: map[string]bool{}}
}

// mostConfig bounds a configuration file, in bytes: Syncthing's grows with its devices.
const mostConfig = 4 << 20

// readConfig reads a file of a user: a regular one, never waiting for a FIFO.
func readConfig(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	text, err := io.ReadAll(io.LimitReader(f, mostConfig+1))
	if err == nil && len(text) > mostConfig {
		err = fmt.Errorf("read %s: more than %d bytes", path, mostConfig)
	}
	return text, err
}

func stampOf(path string) (s stamp, mode uint32, uid uint32, ok bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return s, 0, 0, false
	}
	return stamp{st.Ino, st.Size, st.Mtim, st.Ctim}, st.Mode, st.Uid, true
}

// findHomes finds whose files are looked at. Homes that another machine keeps are left out: to look there may hang, or mount.
func (v *surveyor) findHomes() {
	now, _, _, ok := stampOf(v.cfg.Passwd)
	if v.homes != nil && (!ok || now == v.passwd) {
		return
	}
	v.passwd, v.homes = now, []home{}
	seen := map[string]bool{}
	add := func(path, user string) {
		path = filepath.Clean(path)
		if !filepath.IsAbs(path) || path == "/" || seen[path] || !v.near(path) {
			return
		}
		if _, mode, uid, ok := stampOf(path); ok && mode&unix.S_IFMT == unix.S_IFDIR {
			seen[path] = true
			v.homes = append(v.homes, home{path, user, uid})
		}
	}
	if v.cfg.Passwd != "" {
		text, err := os.ReadFile(v.cfg.Passwd)
		if err != nil {
			v.log.Warn("homes are not known: cloud folders of others are not found", "err", err)
		}
		for l := range strings.Lines(string(text)) {
			if f := strings.Split(strings.TrimSpace(l), ":"); len(f) >= 7 { // passwd(5)
				add(f[5], f[0])
			}
		}
	}
	for _, h := range v.cfg.Homes {
		add(h, "")
	}
}

// near reports whether the path lies on this machine, so that to look at it neither hangs nor mounts.
func (v *surveyor) near(path string) bool {
	at, ok := v.places.ofMounts(path)
	return !ok || !device.Far(at.FS)
}

// look reads the configurations that have changed, and says which folders are in step.
func (v *surveyor) look(now time.Time) survey {
	v.findHomes()
	files, folders := map[string]config{}, map[string]Place{}
	for _, path := range slices.Sorted(maps.Keys(v.cfg.Classes)) {
		if at, known := v.places.ofMounts(path); known && at.Path == path {
			continue // it is that mount that is classed
		}
		v.folder(folders, path, device.Device{Class: v.cfg.Classes[path], Bus: "folder", Share: path, Why: listed}, "", now)
	}
	var out survey
	for _, h := range v.homes {
		for _, client := range cloud.Clients() {
			for _, pattern := range client.Files {
				for _, path := range matches(h.path + "/" + pattern) {
					f, ok := v.read(&client, path, h.path)
					if !ok {
						continue
					}
					files[path] = f
					for _, x := range f.list {
						v.cloudFolder(folders, x, h, filepath.Base(path), now)
					}
				}
			}
		}
		if all := v.readRclone(h.path + "/.config/rclone/rclone.conf"); all != nil {
			out.remotes = append(out.remotes, remotes{h.user, all})
		}
	}
	v.files, v.folders = files, folders
	out.homes, out.folders = slices.Clone(v.homes), maps.Clone(folders)
	return out
}

// listed is why a folder that the administrator lists has its class. That is known from the start, and no event.
const listed = "watch.mounts.classes"

// tells reports whether the coming and going of a place is told.
func (w *Watcher) tells(p *Place) bool {
	return w.cfg.tells(p.Class) && (!p.Folder || p.Facts.Why != listed)
}

// takeOver compares with the survey before: the folders that are in step now and were not, and those that were.
func (w *Watcher) takeOver(s survey) (fresh, ended []Place) {
	for _, path := range slices.Sorted(maps.Keys(w.survey.folders)) {
		was := w.survey.folders[path]
		if p, still := s.folders[path]; !still || p.Volume != was.Volume {
			ended = append(ended, was)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s.folders)) {
		p := s.folders[path]
		if was, known := w.survey.folders[path]; !known || p.Volume != was.Volume {
			fresh = append(fresh, p)
		}
	}
	w.survey = s
	return fresh, ended
}

func matches(pattern string) []string {
	if !strings.Contains(pattern, "*") {
		return []string{pattern}
	}
	list, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	return list
}

// read reads a configuration, if it has changed. One that is being written, and not whole, leaves what it said before.
func (v *surveyor) read(client *cloud.Client, path, home string) (config, bool) {
	now, mode, _, ok := stampOf(path)
	if !ok || mode&unix.S_IFMT != unix.S_IFREG {
		return config{}, false
	}
	last := v.files[path]
	if last.stamp == now {
		return last, true
	}
	text, err := readConfig(path)
	var list []cloud.Folder
	if err == nil {
		list, err = client.Parse(text, home)
	}
	switch {
	case err == nil:
		last.list = list
		delete(v.odd, path)
	case !v.odd[path]:
		v.odd[path] = true
		v.log.Warn("the configuration of a cloud client is not understood: list its folder in watch.mounts.classes", "client", client.Provider, "file", path, "err", err)
	}
	last.stamp = now
	return last, true
}

// readRclone reads the remotes of one user, if the file has changed.
func (v *surveyor) readRclone(path string) map[string]cloud.Remote {
	now, _, _, ok := stampOf(path)
	if !ok {
		delete(v.rclone, path)
		return nil
	}
	last := v.rclone[path]
	if last.stamp != now {
		last = rcloneConf{stamp: now}
		if text, err := readConfig(path); err == nil {
			last.all, err = cloud.Rclone(text)
			if err != nil {
				v.log.Info("an rclone.conf is not understood: its remotes count as cloud", "file", path, "err", err)
			}
		}
		v.rclone[path] = last
	}
	return last.all
}

// cloudFolder adds a folder that a user's client keeps in step. A user can write what he likes into his own configuration: a folder that he could not fill is
// not taken for one.
func (v *surveyor) cloudFolder(to map[string]Place, x cloud.Folder, h home, file string, now time.Time) {
	account := x.Account
	if !strings.Contains(account, "@") {
		account = strings.Trim(h.user+"/"+account, "/")
	}
	d := device.Device{
		Class: device.Cloud, Bus: x.Client, Provider: x.Provider, Account: account, Why: x.Provider + " keeps it in step (" + file + " of " + h.path + ")",
	}
	if v.near(x.Path) {
		_, mode, uid, ok := stampOf(x.Path)
		if !ok || mode&unix.S_IFMT != unix.S_IFDIR || uid != h.uid && mode&0o022 == 0 {
			return
		}
	}
	v.folder(to, x.Path, d, h.user, now)
}

// folder adds a folder by the path that the kernel tells.
func (v *surveyor) folder(to map[string]Place, path string, d device.Device, user string, now time.Time) {
	if v.near(path) {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	}
	if _, taken := to[path]; taken && d.Why != listed {
		return
	}
	p := Place{Path: path, Folder: true, User: user, Since: now}
	if at, ok := v.places.ofMounts(path); ok {
		p.Mount, p.Dev, p.FS, p.ReadOnly = at.Mount, at.Dev, at.FS, at.ReadOnly
	}
	p.set(d)
	if was, ok := v.folders[path]; ok {
		p.Since = was.Since
	}
	to[path] = p
}

// folderPlaces lists the folders, sorted.
func (w *Watcher) folderPlaces() []Place {
	out := make([]Place, 0, len(w.survey.folders))
	for _, path := range slices.Sorted(maps.Keys(w.survey.folders)) {
		out = append(out, w.survey.folders[path])
	}
	return out
}

// tellFolders makes evidence of what changed.
func (w *Watcher) tellFolders(fresh, ended []Place, at time.Time) {
	for i := range ended {
		if w.tells(&ended[i]) {
			w.out = append(w.out, w.evidence(tallyman.KindUnmounted, &ended[i], "no longer in step", at))
		}
	}
	for i := range fresh {
		if w.tells(&fresh[i]) {
			w.out = append(w.out, w.evidence(tallyman.KindMounted, &fresh[i], "in step from now on", at))
		}
	}
}

// mountedBy says who mounted by FUSE: the kernel notes the number of the user (fuse(4), user_id).
func (w *Watcher) mountedBy(m *mountinfo.Mount) string {
	id := m.Option("user_id")
	if !strings.HasPrefix(m.FS, "fuse") || id == "" {
		return ""
	}
	uid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return ""
	}
	if uid == 0 {
		return "root"
	}
	for _, h := range w.survey.homes {
		if uint64(h.uid) == uid && h.user != "" {
			return h.user
		}
	}
	return ""
}
