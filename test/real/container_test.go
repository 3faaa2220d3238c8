//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallyman/source/servers"
)

// contained begins servers with mounts, process numbers and a network of their own. /mnt is a disk that nobody else has, /mnt/data a folder of the machine.
const contained = `set -e
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir -p /mnt/etc /mnt/own /mnt/data /mnt/empty /mnt/jail/srv
mount --bind "$1" /mnt/data
ip link set lo up
cat >/mnt/etc/vsftpd.conf <<X
listen=YES
listen_port=2121
anonymous_enable=YES
ftp_username=root
anon_root=/mnt/data
secure_chroot_dir=/mnt/empty
seccomp_sandbox=NO
xferlog_enable=YES
vsftpd_log_file=/mnt/data/vsftpd.log
X
sed 's/listen=YES/listen=NO/' /mnt/etc/vsftpd.conf >/mnt/etc/inetd-ftp.conf
echo "2100 stream tcp nowait root $2 vsftpd /mnt/etc/inetd-ftp.conf" >/mnt/etc/inetd.conf
"$2" /mnt/etc/vsftpd.conf &
"$3" -L -a :6969 -s /mnt/own &
exec "$4" -i -E /mnt/etc/inetd.conf`

func TestServersInContainersAreFound(t *testing.T) {
	t.Parallel()
	dir := mkdir(t, t.TempDir(), "data")
	vsftpd, a := peer(t, "vsftpd")
	tftpd, b := peer(t, "tftpd-hpa")
	inetd, c := peer(t, "openbsd-inetd")
	started(t, []string{"LD_LIBRARY_PATH=" + strings.Join([]string{a, b, c}, ":")}, "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", contained, "sh", dir, vsftpd, tftpd, inetd)
	i := &island{t: t, dir: dir}
	s := servers.New("/proc")
	apart := func(v *servers.Server) bool { return v.Apart == servers.Apart{PIDs: true, Net: true, Files: true} }

	v := i.found(s, "vsftpd", 2121, apart)
	if !slices.Equal(v.Folders, []string{dir}) || len(v.Doubts) > 0 || len(v.Files) != 1 || v.Files[0].Path != filepath.Join(dir, "vsftpd.log") || v.By != "" {
		t.Errorf("%+v", v)
	}
	if to, err := os.Readlink(filepath.Join("/proc", fmt.Sprint(v.PID), "exe")); err != nil || filepath.Base(to) != "vsftpd" {
		t.Errorf("process %d is %s, %v", v.PID, to, err)
	}
	if v = i.found(s, "vsftpd", 2100, apart); v.By != "inetd" || !slices.Equal(v.Folders, []string{dir}) {
		t.Errorf("%+v", v)
	}
	if v = i.found(s, "tftpd-hpa", 6969, apart); len(v.Folders) > 0 || !slices.Equal(v.Unreached, []string{"/mnt/own"}) {
		t.Errorf("%+v", v)
	}

	out, err := exec.Command(os.Getenv(binaryEnv), "doctor", "--json", "--state", t.TempDir()).Output()
	if err != nil {
		t.Fatalf("doctor: %v: %s", err, out)
	}
	says := doctorSays(string(out))
	for _, want := range []string{
		dir + ": ", "its folder /mnt/own is in a container and cannot be reached from here -> mount a folder of this machine there",
		"what stays on its loopback is unseen", "the process numbers in its own log are those of its container", "its lines come only if it has our /dev/log",
	} {
		if !strings.Contains(says, want) {
			t.Errorf("doctor does not say %q, but\n%s", want, says)
		}
	}
}

// doctorSays is what tallyman doctor --json says, line by line.
func doctorSays(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		var check struct{ Name, Says, Remedy string }
		if json.Unmarshal([]byte(line), &check) == nil {
			b.WriteString(check.Name + ": " + check.Says + " -> " + check.Remedy + "\n")
		}
	}
	return b.String()
}
