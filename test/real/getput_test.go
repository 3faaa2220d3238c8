//go:build real

package real

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peerServer is a server of another maker, as get and put reach it.
type peerServer struct {
	name, url, root string
	flags           []string
	secured, reason string // what the result says
}

// newPeers starts vsftpd in the clear, with AUTH TLS and with TLS from the first byte, pure-ftpd and OpenSSH. vsftpd demands that data resumes the TLS session.
func newPeers(t *testing.T) []peerServer {
	t.Helper()
	i := newIsland(t)
	home := filepath.Join(i.dir, "home")
	cert := certify(t, i.dir)
	text, err := os.ReadFile(cert + ".crt")
	must(err)
	block, _ := pem.Decode(text)
	pin := fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
	password := filepath.Join(i.dir, "password")
	must(os.WriteFile(password, []byte("pw\n"), 0o600))
	base := 24000 + os.Getpid()%500*4
	vsftpd := func(port int, more ...string) {
		i.run("vsftpd", i.write(fmt.Sprintf("vsftpd-%d.conf", port), strings.Join(append([]string{
			"listen=YES", fmt.Sprintf("listen_port=%d", port), "local_enable=YES", "write_enable=YES", "anonymous_enable=NO", "secure_chroot_dir=/run/vsftpd/empty", "pam_service_name=login",
			"seccomp_sandbox=NO", "local_root=" + home, "chroot_local_user=YES", "allow_writeable_chroot=YES", "ssl_enable=YES", "rsa_cert_file=" + cert, "rsa_private_key_file=" + cert,
			"require_ssl_reuse=YES", "ssl_ciphers=HIGH",
		}, more...), "\n")+"\n"))
	}
	vsftpd(base, "force_local_data_ssl=NO", "force_local_logins_ssl=NO")
	vsftpd(base+1, "implicit_ssl=YES")
	i.run("pure-ftpd", "-S", fmt.Sprintf("127.0.0.1,%d", base+2), "-l", "unix", "-H", "-E", "-d", "-A", "-Y", "1", "-2", cert, "-g", filepath.Join(i.dir, "pure.pid"))
	key := i.sshd(base + 3)
	known := filepath.Join(i.dir, "known")
	for n := range 4 {
		i.until("the server listens", func() bool {
			return strings.Contains(command(t, "ss", "-ltnH", fmt.Sprintf("sport = :%d", base+n)), "LISTEN")
		})
	}
	login := []string{"--password-file", password}
	pinned := append([]string{"--fingerprint", pin}, login...)
	at := func(scheme string, n int) string { return fmt.Sprintf("%s://lu@127.0.0.1:%d/", scheme, base+n) }
	return []peerServer{
		{"vsftpd", at("ftp", 0), home, login, "", "reply-acknowledged"},
		{"vsftpd-explicit", at("ftpes", 0), home, pinned, "resumed for data", "close-notify"},
		{"vsftpd-implicit", at("ftps", 1), home, pinned, "resumed for data", "close-notify"},
		{"pure-ftpd", at("ftp", 2), home, login, "", "reply-acknowledged"},
		{"pure-ftpd-explicit", at("ftpes", 2), home, pinned, "TLS 1.3", "close-notify"},
		{"openssh", at("sftp", 3) + "~/", home, []string{"--identity", key, "--known-hosts", known, "--accept-new"}, "SSH, host key ssh-ed25519 SHA256:", "closed"},
	}
}

// do runs get or put, which ends well.
func (v *peerServer) do(t *testing.T, dir, verb string, arg ...string) string {
	t.Helper()
	out, code := client(t, dir, nil, os.Getenv(binaryEnv), append(append([]string{verb}, v.flags...), arg...)...)
	if code != 0 || !strings.Contains(out, `"verdict":"complete"`) || !strings.Contains(out, v.secured) || !strings.Contains(out, v.reason) {
		t.Errorf("%s: %s %v ends with %d: %s", v.name, verb, arg, code, out)
	}
	return out
}

func TestGetAndPutWithServersOfOthers(t *testing.T) {
	content := noise(1, 3_000_001)
	for _, v := range newPeers(t) {
		dir, name := t.TempDir(), v.name+" ü%.bin"
		url := v.url + strings.NewReplacer(" ", "%20", "%", "%25").Replace(name)
		write(t, dir, "in", content)
		if out := v.do(t, dir, "put", "in", url, "--json", "--check", "hash"); !strings.Contains(out, "it was read back") || !strings.Contains(out, `"server_sha256":"`+digest(content)) {
			t.Errorf("%s: the upload is not proven: %s", v.name, out)
		}
		same(t, filepath.Join(v.root, name), content)
		out := v.do(t, dir, "get", url, "out", "--json")
		same(t, filepath.Join(dir, "out"), content)
		if !strings.Contains(out, `"sha256":"`+digest(content)) || !strings.Contains(out, "both sides count 3000001 bytes") {
			t.Errorf("%s: the download is not proven: %s", v.name, out)
		}
		t.Logf("%s: %s", v.name, out)
		if out, code := client(t, dir, nil, os.Getenv(binaryEnv), append([]string{"get", v.url + "none"}, v.flags...)...); code != 1 || !strings.Contains(out, "refused, not-found") {
			t.Errorf("%s: get of nothing ends with %d: %s", v.name, code, out)
		}
		write(t, dir, "none", nil)
		v.do(t, dir, "put", "none", v.url+v.name+"-empty", "--json")
		v.do(t, dir, "get", v.url+v.name+"-empty", "empty", "--json")
		same(t, filepath.Join(dir, "empty"), nil)
	}
}

// What was killed in the middle goes on where it was, and is whole: the hash of all of it is that of the file.
func TestKilledGetAndPutAreResumed(t *testing.T) {
	const half = 9_000_000
	small, large := noise(2, 2*half), noise(3, 400_000_000)
	for _, v := range newPeers(t) {
		dir := t.TempDir()
		there, name := filepath.Join(v.root, v.name+"-up"), v.name+"-up"
		write(t, dir, name, small)
		// The client is told half of the content, and killed while it waits for more.
		put := exec.Command(os.Getenv(binaryEnv), append(append([]string{"put"}, v.flags...), "-", v.url+name)...)
		in, err := put.StdinPipe()
		must(err)
		must(put.Start())
		_, err = in.Write(small[:half])
		must(err)
		await(t, v.name+" stores", func() bool { return sizeOf(there) > half-300_000 })
		must(put.Process.Signal(syscall.SIGKILL))
		_ = put.Wait()
		_ = in.Close()
		if n := sizeOf(there); n > half {
			t.Fatalf("%s: %d bytes are there", v.name, n)
		}
		out := v.do(t, dir, "put", "--resume", name, v.url+name, "--json")
		same(t, there, small)
		if !strings.Contains(out, "what the server had is the beginning of it") || strings.Contains(out, `"offset":0`) {
			t.Errorf("%s: the upload began anew: %s", v.name, out)
		}
		t.Logf("%s: %s", v.name, out)
		// A file with another beginning is left as it is.
		other := noise(4, 2*half)
		must(os.WriteFile(there, other[:half], 0o666))
		if out, code := client(t, dir, nil, os.Getenv(binaryEnv), append([]string{"put", "--resume", name, v.url + name}, v.flags...)...); code != 1 || !strings.Contains(out, "contradicted, hash-mismatch") {
			t.Errorf("%s: an upload behind another file ends with %d: %s", v.name, code, out)
		}
		same(t, there, other[:half])

		there = filepath.Join(v.root, "down")
		must(os.WriteFile(there, large, 0o644))
		get := exec.Command(os.Getenv(binaryEnv), append(append([]string{"get"}, v.flags...), v.url+"down")...)
		get.Dir = dir
		must(get.Start())
		part := filepath.Join(dir, ".down.tallyman-part")
		await(t, v.name+" sends", func() bool { return sizeOf(part) > 1<<20 })
		must(get.Process.Signal(syscall.SIGKILL))
		_ = get.Wait()
		had := sizeOf(part)
		if had < 1<<20 || had >= int64(len(large)) {
			t.Fatalf("%s: %d bytes had come when it was killed", v.name, had)
		}
		out = v.do(t, dir, "get", "--resume", v.url+"down", "--json")
		if !strings.Contains(out, fmt.Sprintf(`"offset":%d`, had)) || !strings.Contains(out, `"sha256":"`+digest(large)) {
			t.Errorf("%s: %d bytes had come, and then %s", v.name, had, out)
		}
		if f, err := os.Open(filepath.Join(dir, "down")); err != nil {
			t.Error(err)
		} else {
			sum := sha256.New()
			_, err = io.Copy(sum, f)
			if must(err); fmt.Sprintf("%x", sum.Sum(nil)) != digest(large) {
				t.Errorf("%s: the file differs", v.name)
			}
			_ = f.Close()
		}
		must(os.Remove(filepath.Join(dir, "down")))
	}
}

func sizeOf(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return st.Size()
}

// await asks again and again.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(soon); !f(); <-tick.C {
		if time.Now().After(late) {
			t.Fatalf("never: %s", what)
		}
	}
}
