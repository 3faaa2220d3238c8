package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unhashed is our server with serve.ftp.hash off.
const unhashed = ours + ", hash off"

// The metrics of servers for accounts.
const (
	retried   = "logins tried again"
	perGiB    = "CPU s/GiB"
	clientCPU = "client CPU s/GiB"
	filesEach = "files/s"
	logged    = "login s"
	moved     = "transfer s"
	held      = "MiB held"
	entered   = "logins/s"
)

const gib = 1 << 30

// haul is one way to move one large file.
type haul struct {
	up, tls bool
	size    int64
}

// bulk compares servers that move one file in one session. The login is not counted. What is downloaded is touched before, so that no cache of digests helps, but for known.
func (r *rig) bulk(name string, h haul, labels []string) (got map[string][]sample, err error) {
	if h.size = 1 << 30; r.short {
		h.size = 64 << 20
	}
	err = r.accounts(name, func(s *stageOf) error {
		var of []contestant
		for _, label := range labels {
			of = append(of, contestant{label, func() (sample, error) { return s.haul(label, h) }})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}

func (s *stageOf) haul(label string, h haul) (sample, error) {
	at, err := s.open(label)
	if err != nil {
		return nil, err
	}
	defer at.shut()
	spec := ftpSpec{Mode: series, Server: at.ftp, User: bencher, Password: password, TLS: h.tls, Size: h.size}
	if h.up {
		spec.Puts = []string{"up/big"}
		result, cpu, err := s.series(at, spec)
		return h.figures(result, cpu), errors.Join(err, s.taken("up/big", h.size))
	}
	if err := s.file("home/big", h.size); err != nil {
		return nil, err
	}
	spec.Gets = []string{"big"}
	if label == known {
		if err := s.aged("big"); err != nil {
			return nil, err
		}
		if _, _, err := s.series(at, spec); err != nil {
			return nil, err
		}
	}
	result, cpu, err := s.series(at, spec)
	return h.figures(result, cpu), err
}

func (h *haul) figures(r ftpResult, cpu time.Duration) sample {
	n := float64(h.size) / gib
	return sample{perGiB: cpu.Seconds() / n, clientCPU: r.CPU.Seconds() / n, speed: float64(h.size) / 1e6 / r.Elapsed.Seconds()}
}

// aged waits until a file is so old that its digest may be remembered (tree.Digests).
func (s *stageOf) aged(name string) error {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(s.root, name), &st); err != nil {
		return err
	}
	old := time.NewTimer(time.Until(time.Unix(st.Ctim.Unix()).Add(2100 * time.Millisecond)))
	defer old.Stop()
	select {
	case <-old.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// taken takes an uploaded file away, and fails unless all of it was there.
func (s *stageOf) taken(name string, size int64) error {
	path := filepath.Join(s.root, name)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() != size {
		err = fmt.Errorf("%s has %d bytes, not %d", path, info.Size(), size)
	}
	return errors.Join(err, os.Remove(path))
}

// series lets one client work, and tells what the server used meanwhile and until all of it was recorded.
func (s *stageOf) series(at *site, spec ftpSpec) (result ftpResult, cpu time.Duration, err error) {
	var from time.Duration
	begin := func() (err error) {
		from, err = at.used()
		return err
	}
	end := func() error {
		_, err := at.drain(s.ctx)
		if err != nil {
			return err
		}
		cpu, err = at.used()
		return err
	}
	err = s.gated(spec, &result, begin, end)
	return result, cpu - from, err
}

// gated runs the clients; each step is taken while they wait for it.
func (s *stageOf) gated(spec ftpSpec, answer *ftpResult, steps ...func() error) error {
	line, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	args := inNet(s.ns, s.self, ftpClients)
	cmd := exec.CommandContext(s.ctx, args[0], args[1:]...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	talk := func() error {
		lines := bufio.NewReader(out)
		if _, err := in.Write(append(line, '\n')); err != nil {
			return err
		}
		for _, step := range steps {
			if _, err := lines.ReadBytes('\n'); err != nil {
				return err
			}
			if err := step(); err != nil {
				return err
			}
			if _, err := in.Write([]byte("\n")); err != nil {
				return err
			}
		}
		return json.NewDecoder(lines).Decode(answer)
	}
	err = talk()
	_ = in.Close() // it has ended, or has to
	if wrong := cmd.Wait(); err != nil || wrong != nil {
		return fmt.Errorf("clients of %s: %w: %s", spec.Server, errors.Join(err, wrong), complaint.String())
	}
	return nil
}

// littleFiles compares servers that move 2,000 files of 4 KiB in one session.
func (r *rig) littleFiles(name string, up bool, labels []string) (got map[string][]sample, err error) {
	const size = 4 << 10
	n := 2000
	if r.short {
		n = 200
	}
	err = r.accounts(name, func(s *stageOf) error {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("s%d", i))
			if err := r.file("home/"+names[i], size); err != nil {
				return err
			}
		}
		var of []contestant
		for _, label := range labels {
			of = append(of, contestant{label, func() (sample, error) {
				at, err := s.open(label)
				if err != nil {
					return nil, err
				}
				defer at.shut()
				spec := ftpSpec{Mode: series, Server: at.ftp, User: bencher, Password: password, Size: size}
				if up {
					for _, name := range names {
						spec.Puts = append(spec.Puts, "up/"+name)
					}
				} else {
					spec.Gets = names
				}
				result, cpu, err := s.series(at, spec)
				torn := 0.0 // acknowledged, and not there as they were sent
				for _, name := range spec.Puts {
					if err := s.taken(name, size); err != nil {
						torn++
					}
				}
				return sample{
					failed: torn, filesEach: float64(n) / result.Elapsed.Seconds(), each: float64(cpu.Microseconds()) / float64(n), clientEach: float64(result.CPU.Microseconds()) / float64(n),
				}, err
			}})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}

const clientEach = "client CPU us each"

// openSSH compares servers that move one file with the client of OpenSSH and AES-GCM. Login and end are part of it, for both.
func (r *rig) openSSH(name string, up bool, labels []string) (got map[string][]sample, err error) {
	h := haul{up: up, size: 1 << 30}
	if r.short {
		h.size = 64 << 20
	}
	err = r.accounts(name, func(s *stageOf) error {
		if err := r.file("home/big", h.size); err != nil {
			return err
		}
		var of []contestant
		for _, label := range labels {
			of = append(of, contestant{label, func() (sample, error) { return s.sftp(label, h) }})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}

func (s *stageOf) sftp(label string, h haul) (sample, error) {
	at, err := s.open(label)
	if err != nil {
		return nil, err
	}
	defer at.shut()
	if label == known {
		if err := s.aged("big"); err != nil {
			return nil, err
		}
		if _, _, err := s.sftpOnce(at, h); err != nil {
			return nil, err
		}
	}
	before, err := at.used()
	if err != nil {
		return nil, err
	}
	elapsed, client, err := s.sftpOnce(at, h)
	if err != nil {
		return nil, err
	}
	if _, err := at.drain(s.ctx); err != nil {
		return nil, err
	}
	after, err := at.used()
	return h.figures(ftpResult{Elapsed: elapsed, CPU: client}, after-before), err
}

// sftpOnce runs the client once, from and to memory.
func (s *stageOf) sftpOnce(at *site, h haul) (elapsed, client time.Duration, err error) {
	batch, copied := filepath.Join(s.dir, "batch"), filepath.Join(s.rig.root, "copied")
	line := "get big " + copied
	if h.up {
		line = "put " + filepath.Join(s.root, "big") + " up/big"
	}
	if err := os.WriteFile(batch, []byte(line+"\n"), 0o600); err != nil {
		return 0, 0, err
	}
	_, port, _ := strings.Cut(at.ssh, ":")
	args := inNet(s.ns, "sftp", "-q", "-b", batch, "-P", port, "-i", s.key, "-F", "none", "-o", "Ciphers=aes128-gcm@openssh.com", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", bencher+"@"+local)
	began := time.Now()
	p, err := s.launch(args, "")
	if err != nil {
		return 0, 0, err
	}
	defer p.kill()
	select {
	case <-p.ended:
	case <-s.ctx.Done():
		return 0, 0, s.ctx.Err()
	}
	elapsed = time.Since(began)
	if !p.cmd.ProcessState.Success() {
		return 0, 0, fmt.Errorf("sftp: %s: %s", p.cmd.ProcessState, p.complaint.String())
	}
	if client, err = p.used(); err != nil {
		return 0, 0, err
	}
	if h.up {
		return elapsed, client, s.taken("up/big", h.size)
	}
	info, err := os.Stat(copied)
	if err == nil && info.Size() != h.size {
		err = fmt.Errorf("%d bytes came of %d", info.Size(), h.size)
	}
	return elapsed, client, errors.Join(err, os.Remove(copied))
}

// many compares servers with 500 sessions at once, each of which stores 256 KiB and reads as much.
func (r *rig) many(name string, overSSH bool, labels []string) (got map[string][]sample, err error) {
	const size = 256 << 10
	n := 500
	if r.short {
		n = 50
	}
	err = r.accounts(name, func(s *stageOf) error {
		if err := r.file("home/one", size); err != nil {
			return err
		}
		var of []contestant
		for _, label := range labels {
			of = append(of, contestant{label, func() (sample, error) {
				at, err := s.open(label)
				if err != nil {
					return nil, err
				}
				defer at.shut()
				spec := ftpSpec{Mode: sessions, Server: at.ftp, User: bencher, Password: password, Size: size, Gets: []string{"one"}, Puts: []string{"up/"}, Sessions: n}
				if overSSH {
					spec.Server, spec.Key = at.ssh, s.key
				}
				return s.crowd(at, spec)
			}})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}

func (s *stageOf) crowd(at *site, spec ftpSpec) (sample, error) {
	var most int64
	look := func() error {
		n, err := at.held()
		most = max(most, n)
		return err
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-tick.C:
				if err := look(); err != nil {
					stopped <- err
					return
				}
			}
		}
	}()
	var from, to time.Duration
	var result ftpResult
	err := s.gated(spec, &result, func() (err error) {
		from, err = at.used()
		return err
	}, func() (err error) {
		to, err = at.used()
		return err
	})
	close(stop)
	err = errors.Join(err, <-stopped)
	for i := range spec.Sessions {
		if err == nil {
			err = s.taken(fmt.Sprintf("up/%d", i), spec.Size)
		}
	}
	return sample{
		moved: result.Elapsed.Seconds(), logged: result.Login.Seconds(), held: float64(most) / (1 << 20), total: (to - from).Seconds(),
		perSession: float64(most) / 1024 / float64(spec.Sessions), retried: float64(result.Retried),
	}, err
}

const perSession = "KiB a session"

// enter compares how fast servers let in who comes for the first time, and who comes again.
func (r *rig) enter(name string, labels []string) (got map[string][]sample, err error) {
	firsts, repeats := crowdOf, 2000
	if r.short {
		firsts, repeats = 20, 40
	}
	err = r.accounts(name, func(s *stageOf) error {
		var of []contestant
		for _, label := range labels {
			of = append(of, contestant{label, func() (sample, error) {
				server, again := strings.CutSuffix(label, repeated)
				at, err := s.open(server)
				if err != nil {
					return nil, err
				}
				defer at.shut()
				spec := ftpSpec{Mode: logins, Server: at.ftp, Password: password, Workers: 8}
				count := firsts
				if again && server == ours {
					count = repeats
				}
				for i := range count {
					user := bencher
					if !again {
						user += strconv.Itoa(i)
					}
					spec.Users = append(spec.Users, user)
				}
				if again { // the first one is not one that comes again
					once := spec
					once.Users = spec.Users[:1]
					if err := s.gated(once, new(ftpResult)); err != nil {
						return nil, err
					}
				}
				before, err := at.used()
				if err != nil {
					return nil, err
				}
				var result ftpResult
				if err := s.gated(spec, &result); err != nil {
					return nil, err
				}
				after, err := at.used()
				return sample{entered: float64(count) / result.Elapsed.Seconds(), each: float64((after - before).Microseconds()) / float64(count), retried: float64(result.Retried)}, err
			}})
		}
		got, err = r.alternate(name, of...)
		return err
	})
	return got, err
}

const repeated = ", again"
