package who_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tallyman/source/files/who"
)

func TestWhatProcSaysOfAProcessIsRead(t *testing.T) {
	login := func(text string, want int64) {
		t.Helper()
		if got := who.ParseLogin([]byte(text)); got != want {
			t.Errorf("%q is %d, not %d", text, got, want)
		}
	}
	login("1000\n", 1000)
	login("4294967295", -1)
	login("", -1)
	login("-5", -1)
	line := func(text, want string) {
		t.Helper()
		if got := who.ParseCmdline([]byte(text)); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	line("cp\x00-a\x00x y\x00", "cp -a x y")
	line("", "")
	line(strings.Repeat("x", 5000), strings.Repeat("x", 1024))
	id := strings.Repeat("0123456789abcdef", 4)
	inside := func(text, want string) {
		t.Helper()
		if got := who.ParseContainer([]byte(text)); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	inside("0::/user.slice/session-1.scope\n", "")
	inside("12:pids:/x\n0::/system.slice/docker-"+id+".scope\n", id)
	inside("0::/kubepods/pod1/"+id+"\n", id)
}

// mortal is a /proc of our own, in which process 70 lives as long as the test wants.
func mortal(t *testing.T, parent int, comm, exe string) (dir string, end func()) {
	t.Helper()
	const pid = 70
	dir = t.TempDir()
	at := dir + "/" + strconv.Itoa(pid)
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	stat := strconv.Itoa(pid) + " (" + comm + ") S " + strconv.Itoa(parent) + strings.Repeat(" 0", 17) + " 777 0 0\n"
	for name, text := range map[string]string{
		"stat": stat, "status": "Name:\tx\nUid:\t1000\t1000\t1000\t1000\n", "loginuid": "1001", "cgroup": "0::/\n", "cmdline": comm + "\x00-v\x00",
	} {
		if err := os.WriteFile(at+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(exe, at+"/exe"); err != nil {
		t.Fatal(err)
	}
	return dir, func() {
		if err := os.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProgramIsKnownFromItsStartAfterItsProcessHasGone(t *testing.T) {
	proc, end := mortal(t, 1, "bash", "/usr/bin/bash")
	table, err := who.New(proc, "/nowhere", 100)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = table.Close() }()
	c, now := who.NewCensus(table), time.Unix(1e9, 0)
	c.Exec(70, "/usr/bin/cp", now)
	c.Exec(70, "/usr/lib64/ld-linux-x86-64.so.2", now) // loads it, and is not it
	end()
	p := c.Of(70, now.Add(time.Second))
	if p.Exe != "/usr/bin/cp" || p.UID != 1000 || p.Login != 1001 || p.Start != 777 || p.Parent != 1 || p.Why != "" {
		t.Errorf("%+v", p)
	}
	if p := c.Of(71, now); p.Exe != "" || p.Why == "" || !p.Gone {
		t.Errorf("of a process that nobody saw: %+v", p)
	}
	c.Exec(72, "/usr/bin/true", now) // gone before it could be looked at
	if p := c.Of(72, now); p.Exe != "/usr/bin/true" || !strings.Contains(p.Why, "user") {
		t.Errorf("%+v", p)
	}
}

func TestPidThatIsUsedAgainIsAnotherProcess(t *testing.T) {
	proc, _ := mortal(t, 0, "bash", "/usr/bin/bash")
	table, err := who.New(proc, "/nowhere", 100)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = table.Close() }()
	c, now := who.NewCensus(table), time.Unix(1e9, 0)
	if p := c.Of(70, now); p.Exe != "/usr/bin/bash" || p.Cmdline != "bash -v" {
		t.Errorf("%+v", p)
	}
	stat := "70 (vi) S 0" + strings.Repeat(" 0", 17) + " 999 0 0\n"
	if err := os.WriteFile(proc+"/70/stat", []byte(stat), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := c.Of(70, now.Add(time.Second)); p.Start != 999 || p.Comm != "vi" {
		t.Errorf("%+v", p)
	}
}
