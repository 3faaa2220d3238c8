//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The suites that rclone has for its backends, as it runs them against vsftpd, ProFTPD, pure-ftpd and OpenSSH: without an option for the encoding
// of names. script/rclone builds them.
func TestRclonesOwnSuitesPass(t *testing.T) {
	suites := strings.TrimSpace(command(t, "../../script/rclone"))
	s := newFTP(t, "write: overwrite, tls_reuse: false")
	for i, flag := range s.flags {
		if flag == "--sftp" {
			s.flags[i+1] = "127.0.0.1:0"
		}
	}
	// The suite of FTP stores 100 MB and waits a second for the 226, which we say when they are on the disk.
	command(t, "mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", s.root)
	t.Cleanup(func() { command(t, "umount", "-l", s.root) })
	s.start()
	t.Cleanup(s.stop)
	dir := t.TempDir()
	mkdir(t, mkdir(t, mkdir(t, dir, "fstest"), "testserver"), "init.d") // the suite looks for its servers there, and finds that ours is none of them
	hidden := strings.TrimSpace(command(t, "rclone", "obscure", ftpPassword))
	for _, remote := range []struct {
		name, suite, keys string
		least             int // tests that pass, of rclone 1.76
	}{
		{"plain", "ftp", fmt.Sprintf("port = %d\n", s.ftp.Port()), 94},
		{"explicit", "ftp", fmt.Sprintf("port = %d\nexplicit_tls = true\nno_check_certificate = true\n", s.ftp.Port()), 94},
		{"implicit", "ftp", fmt.Sprintf("port = %d\ntls = true\nno_check_certificate = true\n", s.ftps.Port()), 94},
		{"sftp", "sftp", fmt.Sprintf("port = %d\nmultithread_upload = true\n", s.sftp.Port()), 99},
	} {
		t.Run(remote.name, func(t *testing.T) {
			config := filepath.Join(dir, remote.name+".conf")
			text := fmt.Sprintf("[Tally]\ntype = %s\nhost = 127.0.0.1\nuser = tally\npass = %s\n%s", remote.suite, hidden, remote.keys)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("RCLONE_CONFIG", config)
			out, code := client(t, dir, nil, filepath.Join(suites, remote.suite+".test"), "-test.v", "-test.run", "^TestIntegration$", "-remote", "Tally:")
			passed, failed := strings.Count(out, "--- PASS"), strings.Count(out, "--- FAIL")
			if code != 0 || failed > 0 || passed < remote.least {
				t.Errorf("it ends with %d, %d passed, %d failed: %s", code, passed, failed, regexp.MustCompile(`(?m)^=== .*\n|^ *--- (PASS|SKIP).*\n`).ReplaceAllString(out, ""))
			}
			t.Logf("%d passed, %d failed", passed, failed)
		})
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
