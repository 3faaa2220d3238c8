package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"tallyman/source/sftp/hostkey"
	"tallyman/web/account"
	"tallyman/web/certificate"
	"tallyman/web/socket"
)

// stateContent is what this program makes in the state folder, as patterns: nothing else there is given away.
var stateContent = []string{
	account.File, certificate.CertFile, certificate.KeyFile, socket.Name, asideFile, lockFile, ledgerFile, ledgerFile + "-*",
	spoolDir, spoolDir + "/*", outboxDir, outboxDir + "/*", usersFile, hostkey.Pattern, ftpCertFile, ftpKeyFile,
}

// ofState lists what of it is there.
func ofState(state string) []string {
	paths := []string{state}
	for _, pattern := range stateContent {
		found, _ := filepath.Glob(filepath.Join(escapeGlob(state), pattern))
		paths = append(paths, found...)
	}
	return paths
}

// escapeGlob makes a path stand for itself in filepath.Glob.
func escapeGlob(path string) string {
	var out []byte
	for i := range len(path) {
		if slices.Contains([]byte(`*?[\`), path[i]) {
			out = append(out, '\\')
		}
		out = append(out, path[i])
	}
	return string(out)
}

// dropPrivileges makes the process the user whose files are served, for good. All that needs root is open by then; the state folder and the JSON
// lines become that user's, so that everything goes on: new segments of the spool, the log of the ledger, accounts, rotation. Nothing happens when the
// process is not root, or root owns the files. Threads of the Go runtime change together (syscall.Setresuid). The last thing done as root is ready, when
// nothing is in the way any more.
func (h *house) dropPrivileges(ready func() error) error {
	to, ok, err := h.servingUser()
	if err != nil {
		return err
	}
	if !ok {
		return ready()
	}
	groups := groupsOf(&to)
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("drop privileges: setgroups: %w", err)
	}
	if err := syscall.Setresgid(to.gid, to.gid, to.gid); err != nil {
		return fmt.Errorf("drop privileges: setresgid %d: %w", to.gid, err)
	}
	if err := h.giveTo(to); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	// What is made from here on is the user's. What was made during the last lines is given away by one thread that is root for that long.
	if err := syscall.Setresuid(to.uid, to.uid, 0); err != nil {
		return fmt.Errorf("drop privileges: setresuid %d: %w", to.uid, err)
	}
	if err := asRoot(to.uid, func() error { return h.giveTo(to) }); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	if err := h.reachable(to); err != nil {
		return errors.Join(err, syscall.Setresuid(0, 0, 0)) // closing takes what opening took
	}
	if err := asRoot(to.uid, ready); err != nil {
		return errors.Join(err, syscall.Setresuid(0, 0, 0))
	}
	if err := syscall.Setresuid(to.uid, to.uid, to.uid); err != nil {
		return fmt.Errorf("drop privileges: setresuid %d: %w", to.uid, err)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("drop privileges: root could be had back: set serve.user to root to run without dropping them")
	}
	h.noNewPrivileges()
	h.log.Info("privileges dropped", "uid", to.uid, "gid", to.gid)
	h.warnOfFiles(to)
	return nil
}

// servingUser is whom the process becomes, and false when it stays as it is.
func (h *house) servingUser() (owner, bool, error) {
	if os.Geteuid() != 0 || len(h.sources) == 0 || h.watched != nil { // servers that start later are watched as root too
		return owner{}, false, nil
	}
	to, err := ownerOf(h.cfg.Serve.User, h.sources[0].root)
	return to, err == nil && to.uid != 0, err
}

// nogroup is the group of a user who is in none (Debian base-passwd).
const nogroup = 65534

// groupsOf returns all groups of the user. Where the served folder is of group root, as after chown USER alone, the user's own group takes its place.
func groupsOf(to *owner) []int {
	var groups []int
	u, err := user.LookupId(strconv.Itoa(to.uid))
	if err == nil {
		if own, err := strconv.Atoi(u.Gid); err == nil && to.gid == 0 {
			to.gid = own
		}
		ids, _ := u.GroupIds()
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil && n != 0 {
				groups = append(groups, n)
			}
		}
	}
	if to.gid == 0 {
		to.gid = nogroup
	}
	return append(groups, to.gid)
}

// asRoot runs do on a thread of its own that takes back the effective user root, which the saved one allows (setresuid(2)), and ends with it.
func asRoot(uid int, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0)); errno != 0 {
			done <- fmt.Errorf("setresuid: %w", errno)
			return
		}
		err := do()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			err = errors.Join(err, fmt.Errorf("setresuid: %w", errno))
		}
		done <- err
	}()
	return <-done
}

// giveTo changes the owner of all that is written later.
func (h *house) giveTo(to owner) error {
	paths := ofState(h.state)
	for _, file := range linesTo(h.cfg) {
		paths = append(paths, file)
	}
	for _, path := range paths {
		if err := giveOne(to, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("give %s to user %d: %w", path, to.uid, err)
		}
	}
	return nil
}

// giveOne changes the owner of a file or folder. It follows no link and touches no file that has a second name: whoever the folder belongs to
// may have put one there.
func giveOne(to owner, path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // only to name the file
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) == to.uid && int(st.Gid) == to.gid {
		return nil
	}
	if why := linked(&st); why != "" {
		return errors.New(why)
	}
	return unix.Fchownat(fd, "", to.uid, to.gid, unix.AT_EMPTY_PATH)
}

// linked says why a file may not be trusted to be what its path says.
func linked(st *unix.Stat_t) string {
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		return "it is a symbolic link: remove it, or give the state folder to root"
	case kind == unix.S_IFREG && st.Nlink > 1:
		return "it has a second name: remove it, or give the state folder to root"
	}
	return ""
}

// refuseLinks keeps root from opening what the owner of the state folder, an ordinary user, may have put there in the place of our files.
func refuseLinks(state string) error {
	var st unix.Stat_t
	if os.Geteuid() != 0 || unix.Stat(state, &st) != nil || st.Uid == 0 {
		return nil
	}
	for _, path := range ofState(state)[1:] {
		if unix.Lstat(path, &st) != nil {
			continue
		}
		if why := linked(&st); why != "" {
			return fmt.Errorf("%s: %s", path, why)
		}
	}
	return nil
}

// reachable reports, as the user, whether the work can go on.
func (h *house) reachable(to owner) error {
	const remedy = "serve.user names another user, root to stay root"
	if err := unix.Faccessat(unix.AT_FDCWD, h.state, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("user %d, as whom files are served, cannot use the state folder %s: %w: name another with --state DIR, or open the folders above it; %s",
			to.uid, h.state, err, remedy)
	}
	for i := range h.sources {
		if err := unix.Faccessat(unix.AT_FDCWD, h.sources[i].root, unix.X_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("user %d, as whom files are served, cannot enter %s: %w: open it and the folders above it; %s", to.uid, h.sources[i].root, err, remedy)
		}
	}
	return nil
}

// noNewPrivileges keeps programs that are started from gaining any (prctl(2), PR_SET_NO_NEW_PRIVS). None are: it is a second bolt.
func (h *house) noNewPrivileges() {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 && !errors.Is(errno, syscall.ENOTSUP) { // a build with cgo cannot reach all threads
		h.log.Warn("no_new_privs not set", "err", errno)
	}
}

// warnOfFiles names what works now and will not later.
func (h *house) warnOfFiles(to owner) {
	for key, file := range linesTo(h.cfg) {
		if err := unix.Faccessat(unix.AT_FDCWD, filepath.Dir(file), unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			h.log.Warn("a file of records cannot be rotated: its folder may not be written by the user who serves", "key", key, "folder", filepath.Dir(file), "uid", to.uid, "err", err)
		}
	}
	if h.users != nil {
		if file := h.usersPath(h.cfg); unix.Faccessat(unix.AT_FDCWD, file, unix.R_OK, unix.AT_EACCESS) == unix.EACCES {
			h.log.Warn("the file of accounts cannot be read again by the user who serves: changes will not be seen; chgrp and chmod g+r it", "file", file, "uid", to.uid)
		}
	}
	if _, err := h.again(); errors.Is(err, fs.ErrPermission) {
		h.log.Warn("configuration cannot be read again by the user who serves: a reload will keep the old one; chgrp and chmod g+r the file", "uid", to.uid, "err", err)
	}
}
