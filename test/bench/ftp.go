package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// vsftpd is the server of another maker that is watched.
const vsftpd = "vsftpd"

// The contestants of the case of watched transfers.
const (
	watched   = "vsftpd, watched"
	unwatched = "vsftpd alone"
)

// The metrics of watched transfers.
const (
	unjudged = "not judged complete"
	gaps     = "gaps"
)

// ftpPort is that of vsftpd in its namespace.
const ftpPort = "21"

// watchedFTP compares four transfers at once of a server that is watched with the same where nobody looks.
func (r *rig) watchedFTP(name string) (got map[string][]sample, err error) {
	size := int64(1 << 30)
	if r.short {
		size = 64 << 20
	}
	ns, remove, err := r.loopback(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	root, err := r.ftpRoot(size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	of := []contestant{
		{watched, func() (sample, error) { return r.ftpRun(ns, root, size, true) }},
		{unwatched, func() (sample, error) { return r.ftpRun(ns, root, size, false) }},
	}
	return r.alternate(name, of...)
}

// ftpRoot makes a folder in memory with two files to be read and a folder to write into. It belongs to root: vsftpd refuses a root that its user may change.
func (r *rig) ftpRoot(size int64) (string, error) {
	root := filepath.Join(r.root, "ftp")
	up := filepath.Join(root, "up")
	if err := os.MkdirAll(up, 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(up, 0o777); err != nil {
		return "", err
	}
	for _, name := range []string{"ftp/down1", "ftp/down2"} {
		if err := r.file(name, size); err != nil {
			return "", err
		}
	}
	return root, nil
}

// inNet is a command line that runs in a network namespace, and in all else where we are.
func inNet(ns string, args ...string) []string {
	return append([]string{"nsenter", "--net=/var/run/netns/" + ns}, args...)
}

func (r *rig) ftpRun(ns, root string, size int64, look bool) (sample, error) {
	state, err := os.MkdirTemp(r.state, "")
	if err != nil {
		return nil, err
	}
	server, err := r.vsftpd(ns, root, state)
	if err != nil {
		return nil, err
	}
	defer server.kill()
	if !look {
		result, err := r.ftpLoad(ns, root, size)
		return sample{speed: 4 * float64(size) / 1e6 / result.Elapsed.Seconds()}, err
	}
	return r.ftpWatch(ns, root, state, size)
}

// vsftpd starts the server in a namespace. Its configuration, its log and its empty folder are in state.
func (r *rig) vsftpd(ns, root, state string) (*process, error) {
	empty := filepath.Join(state, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(state, "vsftpd.conf")
	text := "listen=YES\nlisten_port=" + ftpPort + "\nlisten_address=127.0.0.1\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nwrite_enable=YES\nanon_upload_enable=YES\nanon_umask=022\n" +
		"ftp_username=daemon\nanon_root=" + root + "\nsecure_chroot_dir=" + empty + "\nxferlog_enable=YES\nxferlog_std_format=NO\nlog_ftp_protocol=YES\n" +
		"vsftpd_log_file=" + filepath.Join(state, "vsftpd.log") + "\nseccomp_sandbox=NO\nuse_localtime=YES\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	peer := r.peers[vsftpd]
	p, err := r.launch(inNet(ns, peer.program, conf), peer.libraries)
	if err != nil {
		return nil, err
	}
	if err := r.until("vsftpd listens", p, func() (bool, error) {
		out, err := exec.CommandContext(r.ctx, "ip", "netns", "exec", ns, "cat", "/proc/net/tcp").Output()
		return strings.Contains(string(out), ":0015 00000000:0000 0A"), err
	}); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// ftpWatch has tallyman watch look on while the clients work.
func (r *rig) ftpWatch(ns, root, state string, size int64) (sample, error) {
	ready := filepath.Join(state, "ready")
	args := inNet(ns, r.binary, "watch", root, "--state", filepath.Join(state, "books"), "--web", "", "--ready-file", ready)
	p, err := r.launch(args, "")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	var said struct{ Socket string }
	if err := r.until("tallyman watch sees", p, func() (bool, error) {
		text, err := os.ReadFile(ready)
		if err != nil {
			return false, nil
		}
		return true, json.Unmarshal(text, &said)
	}); err != nil {
		return nil, err
	}
	c := newControl(said.Socket)
	defer c.close()
	before, err := p.used()
	if err != nil {
		return nil, err
	}
	result, err := r.ftpLoad(ns, root, size)
	if err != nil {
		return nil, err
	}
	complete := 0
	late := r.until("all transfers are judged", p, func() (bool, error) {
		complete, err = c.complete()
		return complete == 4, err
	})
	after, err := p.used()
	if err != nil {
		return nil, err
	}
	if late != nil {
		fmt.Fprintf(r.progress, "%v\n", late) // what is not judged is a figure
	}
	blind, err := c.gaps()
	if err != nil {
		return nil, err
	}
	held, err := p.resident()
	if err != nil {
		return nil, err
	}
	cpu := (after - before).Seconds()
	return sample{
		speed: 4 * float64(size) / 1e6 / result.Elapsed.Seconds(), total: cpu, cost: cpu / (4 * float64(size) / 1e9), rss: float64(held) / (1 << 20),
		unjudged: float64(4 - complete), gaps: float64(blind),
	}, p.stop()
}

// ftpLoad lets four clients work at once, and takes away what they stored.
func (r *rig) ftpLoad(ns, root string, size int64) (result ftpResult, err error) {
	spec := ftpSpec{Server: "127.0.0.1:" + ftpPort, User: "anonymous", Password: "bench@", Size: size, Gets: []string{"down1", "down2"}, Puts: []string{"up/1", "up/2"}}
	if err := r.child(inNet(ns, r.self, ftpClients), spec, &result); err != nil {
		return result, err
	}
	for _, name := range spec.Puts {
		path := filepath.Join(root, name)
		info, err := os.Stat(path)
		if err != nil {
			return result, err
		}
		if info.Size() != size {
			return result, fmt.Errorf("%s has %d bytes, not %d", path, info.Size(), size)
		}
		if err := os.Remove(path); err != nil {
			return result, err
		}
	}
	return result, nil
}

// until waits for a condition, as long as a program lives.
func (r *rig) until(what string, p *process, f func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		if ok, err := f(); ok || err != nil {
			return err
		}
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-p.ended:
			return fmt.Errorf("never: %s: it ended: %s", what, p.complaint.String())
		case <-late:
			return fmt.Errorf("never: %s: %s", what, p.complaint.String())
		case <-tick.C:
		}
	}
}
