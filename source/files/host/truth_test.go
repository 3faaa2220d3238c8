//go:build root

package host_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tallyman"
	"tallyman/source/files/host"
)

// Real tools, and what they do as their manuals and strace tell it.
const tools = `
echo one > a; cp a b; mv b c; ln a hard; ln -s a soft; mkdir d; mkdir -p e/f/g; echo two >> a
truncate -s 0 c; truncate -s 100 c; dd if=/dev/zero of=dd1 bs=4k count=300 2>/dev/null; install -m 0644 a inst
rm hard; chmod 600 a; rmdir d; mv e e2; echo x > e2/f/g/deep; rm -r e2
cp -a a cpa; cp --reflink=never a cpr; cp --remove-destination a cpr; cat a > cat1; cp -l a cpl; cp -s "$PWD/a" cps
mkdir src; for i in 1 2 3; do head -c 70000 /dev/urandom > src/s$i; done; cp -r src cpdir
tar cf t.tar src; mkdir un; tar xf t.tar -C un; tar cf - src | (mkdir pipe; tar xf - -C pipe)
rsync -a src/ rs/; echo new > src/s1; rsync -a src/ rs/; rsync -a --inplace src/s2 rs/ip
zip -qr z.zip src; gzip -k t.tar; mv t.tar.gz t2.tar.gz
echo v1 > vimfile; echo v2 > .vimfile.swp; mv vimfile vimfile~; echo v2 > vimfile; rm vimfile~ .vimfile.swp
echo e > .#save; mv .#save vimfile
vim -es -u NONE -c 'set nobackup backupcopy=no' -c 'normal aedited' -c 'wq' vimfile
sed -i s/edited/again/ vimfile
touch empty; touch -d 2001-01-01 empty; mkfifo fifo; chmod 700 src; sh -c 'echo sub > sub'
`

// truth is what of it must be told, in any order.
var truth = []string{
	"create a", "create b", "rename b -> c", "link a -> hard", "symlink soft", "create d", "create e", "create e/f", "create e/f/g", "modify a", "modify c", "modify c",
	"create dd1", "create inst", "delete hard", "attrib a", "delete d", "rename e -> e2", "create e2/f/g/deep", "delete e2/f/g/deep", "delete e2/f/g", "delete e2/f", "delete e2",
	"create cpa", "create cpr", "delete cpr", "create cpr", "create cat1", "link a -> cpl", "symlink cps",
	"create src", "create src/s1", "create src/s2", "create src/s3", "create cpdir", "create cpdir/s1", "create cpdir/s2", "create cpdir/s3",
	"create t.tar", "create un", "create un/src", "create un/src/s1", "create un/src/s2", "create un/src/s3",
	"create pipe", "create pipe/src", "create pipe/src/s1", "create pipe/src/s2", "create pipe/src/s3",
	"create rs", "modify src/s1", "create rs/ip", "create z.zip", "create t.tar.gz", "rename t.tar.gz -> t2.tar.gz",
	"create vimfile", "create .vimfile.swp", "rename vimfile -> vimfile~", "create vimfile", "delete vimfile~", "delete .vimfile.swp",
	"create .#save", "rename .#save -> vimfile", "create empty", "attrib empty", "create fifo", "attrib src", "create sub",
}

func TestToolsAreToldWhole(t *testing.T) {
	s := newStick(t)
	r := watch(t, s.at, "", nil)
	before := r.disk()
	r.sh(tools)
	r.stop()
	r.told(truth...)
	r.right(before)
	renamed := map[string]bool{}
	for _, e := range r.to.have() {
		if e.Op == tallyman.OpRename {
			renamed[strings.TrimPrefix(e.Path, s.at+"/")] = true
		}
	}
	for _, name := range []string{"rs/s1", "rs/s2", "rs/s3"} { // rsync writes under another name
		if !renamed[name] {
			t.Errorf("rsync renamed something to %s, which was not told", name)
		}
	}
}

const python = `
import os, subprocess, sys
os.chdir(sys.argv[1])
with open("py1", "wb") as f: f.write(b"x" * 100000)
subprocess.run([sys.executable, "-c", "import mmap; f = open('py1', 'r+b'); m = mmap.mmap(f.fileno(), 0); m[5000:5003] = b'abc'; m.flush()"], check=True)
os.rename("py1", "py2"); os.replace("py2", "py3"); os.truncate("py3", 77)
os.link("py3", "py4"); os.unlink("py3"); os.symlink("nowhere", "dangling"); os.mkdir("pd"); os.rename("pd", "pd2"); os.rmdir("pd2")
for n in [b"new\nline", b"\xff\xfe", b"sp ace", b"-rf", b"quo'te\"", "\u202eevil".encode(), b"x" * 255, b"\x1b[31m"]:
    open(n, "wb").close()
fd = os.open("short", os.O_CREAT | os.O_WRONLY); os.unlink("short"); os.write(fd, b"1"); os.close(fd)
f = open("tmpf", "wb"); os.rename("tmpf", "final"); f.write(b"after"); f.close()
for i in range(500):
    open("storm%d.part" % i, "wb").write(b"y" * i); os.rename("storm%d.part" % i, "storm%d" % i)
for i in range(0, 500, 2): os.unlink("storm%d" % i)
`

func TestPythonIsToldWhole(t *testing.T) {
	s := newStick(t)
	r := watch(t, s.at, "", nil)
	before := r.disk()
	script := filepath.Join(t.TempDir(), "script.py")
	run(t, "sh", "-c", "cat > "+script+" <<'EOF'\n"+python+"\nEOF\n")
	r.sh("python3 " + script + " " + s.at)
	r.stop()
	want := []string{
		"create py1", "modify py1", "rename py1 -> py2", "rename py2 -> py3", "modify py3", "link py3 -> py4", "delete py3", "symlink dangling", "create pd",
		"rename pd -> pd2", "delete pd2", "create new\nline", "create \xff\xfe", "create sp ace", "create -rf", `create quo'te"`, "create \u202eevil",
		"create " + strings.Repeat("x", 255), "create \x1b[31m", "create short", "delete short", "create tmpf", "rename tmpf -> final",
	}
	for i := range 500 {
		want = append(want, fmt.Sprintf("create storm%d.part", i), fmt.Sprintf("rename storm%d.part -> storm%d", i, i))
		if i%2 == 0 {
			want = append(want, fmt.Sprintf("delete storm%d", i))
		}
	}
	r.told(want...)
	r.right(before)
}

func TestWhatIsOwnOrExcludedIsNotTold(t *testing.T) {
	s := newStick(t)
	run(t, "mkdir", "-p", s.at+"/state", s.at+"/.cache/x", s.at+"/in/.cache/deep", s.at+"/out/back")
	r := watch(t, s.at, s.at+"/state", func(c *host.Config) {
		c.Exclude = []string{"**/.cache/**", s.at + "/out", "**/*.tmp"}
		c.Paths = append(c.Paths, s.at+"/out/back")
		c.Every = 10e6 // 10 ms: the canary flies all the time
	})
	r.sh("echo 1 > .cache/x/a; echo 1 > in/.cache/deep/a; echo 1 > out/a; echo 1 > out/back/a; echo 1 > in/a; mkdir in/.cache/d2; echo 1 > b.tmp; mv in/a out/gone; mv out/a in/came")
	r.until(func(*tallyman.Evidence) bool { return r.w.Counts().Canaries > 0 }, "the canary")
	r.stop()
	got := r.deeds()
	for line := range got {
		switch line {
		case "create out/back/a", "create in/a", "rename in/a -> out/gone", "rename out/a -> in/came":
		default:
			t.Errorf("told: %q", line)
		}
	}
	r.told("create out/back/a", "create in/a", "rename in/a -> out/gone", "rename out/a -> in/came")
}
