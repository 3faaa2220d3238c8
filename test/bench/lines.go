package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tallyman"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
)

// reader is the argument that makes this program read the lines of one format.
const reader = "reader"

// The metrics of logs.
const (
	lines  = "lines/CPU s"
	untold = "lines not told"
)

// typical is a line of each format; %d makes pids and names differ.
var typical = [...]struct{ name, line string }{
	{"tftpd-hpa", "Nov 27 00:53:23 vm in.tftpd[%d]: RRQ from 10.0.0.7 filename image-%d.bin"},
	{"atftpd", "Nov 27 00:53:23 vm atftpd[10.%d]: Serving image-%d.bin to 10.0.0.7:44601"},
	{"dnsmasq", "Nov 27 00:53:23 vm dnsmasq-tftp[%d]: sent /srv/image-%d.bin to 10.0.0.7"},
	{"vsftpd", `Fri Nov 27 00:55:04 2026 [pid %d] [lu] OK UPLOAD: Client "127.0.0.1", "/srv/up %d.bin", 3000000 bytes, 1601797.43Kbyte/sec`},
	{"xferlog", "Fri Nov 20 17:42:01 2026 %d 192.0.2.1 6291456 /up-%d.bin b _ i r u ftp 0 * c"},
	{"proftpd-extended", `[27/Nov/2026:00:55:17 +0000] 192.0.2.1 u%d "STOR up %d.bin" 226 3000000 0.002 f=/srv/up a.bin why=- st=success type=binary ms=2`},
	{"pure-ftpd", "Nov 27 00:55:10 vm pure-ftpd[%d]: (lu@127.0.0.1) [NOTICE] //srv/up %d.bin uploaded  (3000000 bytes, 1422057.63KB/sec)"},
	{"pure-ftpd-clf", `localhost - u%d [20/Nov/2026:17:47:08 -0000] "PUT /srv/up-%d.bin" 200 6291456`},
	{"sshd", "Nov 27 00:55:10 vm sshd[%d]: Failed password for u%d from 127.0.0.1 port 54410 ssh2"},
	{"sftp-server", `Nov 27 00:55:12 vm internal-sftp[%d]: close "/home/name %d" bytes read 0 written 100000`},
	{"sftpgo", `{"level":"info","time":"2026-11-20T17:42:01.500","sender":"Upload","local_addr":"127.0.0.1:2121","remote_addr":"192.0.2.1:%d","elapsed_ms":1494,"size_bytes":6291456,"username":"u","file_path":"/srv/up-%d.bin","virtual_path":"/up.bin","connection_id":"FTP_0_207","protocol":"FTP"}`},
}

// readerSpec says which lines are read, and for how long.
type readerSpec struct {
	Format string
	CPU    time.Duration
}

// readerResult is how many lines that were, and what they cost.
type readerResult struct {
	Lines, Untold int
	CPU           time.Duration
}

// runReader reads lines as the line that it reads says. It wants a single processor (GOMAXPROCS=1).
func runReader(in io.Reader, out io.Writer) error {
	var s readerSpec
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	var all []string
	for _, one := range typical {
		for i := 0; one.name == s.Format && i < 10_000; i++ {
			all = append(all, fmt.Sprintf(one.line, i+1, i))
		}
	}
	if all == nil {
		return fmt.Errorf("no line of the format %q is known here", s.Format)
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	r := format.NewReader(entry.Options{Host: "vm"})
	evidence := make([]tallyman.Evidence, 0, 4)
	before, err := processorTime()
	if err != nil {
		return err
	}
	var result readerResult
	for result.CPU < s.CPU {
		for _, line := range all {
			var told entry.Result
			if evidence, told = r.Line(s.Format, line, now, evidence[:0]); told.Outcome != entry.Told {
				result.Untold++
			}
		}
		result.Lines += len(all)
		after, err := processorTime()
		if err != nil {
			return err
		}
		result.CPU = after - before
	}
	return json.NewEncoder(out).Encode(result)
}

// processorTime is what this process has used so far, user and system.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// formats are the names of the typical lines.
func formats() (names []string) {
	for _, one := range typical {
		names = append(names, one.name)
	}
	return names
}

// linesBars wants 100,000 lines a second of each format.
func linesBars() (bars []bar) {
	for _, name := range formats() {
		bars = append(bars, bar{lines, name, "", true, 100_000, ""}, bar{untold, name, "", false, 0, ""})
	}
	return bars
}

// logLines measures how fast the lines of each format are read, on one processor.
func (r *rig) logLines(name string) (map[string][]sample, error) {
	least := time.Second
	if r.short {
		least = 50 * time.Millisecond
	}
	var of []contestant
	for _, format := range formats() {
		of = append(of, contestant{format, func() (sample, error) {
			var got readerResult
			err := r.child([]string{"env", "GOMAXPROCS=1", r.self, reader}, readerSpec{format, least}, &got)
			return sample{lines: float64(got.Lines) / got.CPU.Seconds(), total: got.CPU.Seconds(), untold: float64(got.Untold)}, err
		}})
	}
	return r.alternate(name, of...)
}

// The contestants of the case of long logs.
const (
	tenth = "100,000 lines"
	half  = "500,000 lines"
	whole = "1,000,000 lines"
)

// logMillion measures what it costs to replay ever longer logs.
func (r *rig) logMillion(name string) (map[string][]sample, error) {
	var of []contestant
	for i, label := range []string{tenth, half, whole} {
		n := []int{100_000, 500_000, 1_000_000}[i]
		if r.short {
			n /= 50
		}
		path := filepath.Join(r.root, fmt.Sprintf("%d.log", n))
		if err := writeLog(path, n); err != nil {
			return nil, err
		}
		of = append(of, contestant{label, func() (sample, error) {
			began := time.Now()
			e, err := r.toEnd([]string{r.binary, "replay", "--zone", "UTC", path}, "")
			if err != nil {
				return nil, err
			}
			if want := fmt.Sprintf("read %s lines of %s as syslog", tallyman.Count(int64(n)), path); !strings.Contains(e.out, want) {
				return nil, fmt.Errorf("no %q in the last words of replay: %s", want, e.out[max(len(e.out)-1000, 0):])
			}
			return sample{took: time.Since(began).Seconds(), total: e.cpu.Seconds(), lines: float64(n) / e.cpu.Seconds(), rss: float64(e.peak) / (1 << 20)}, nil
		}})
	}
	return r.alternate(name, of...)
}

// writeLog writes n lines of six servers that log to one syslog, twenty a second.
func writeLog(path string, n int) error {
	const stamp = len("Nov 27 00:53:23")
	var kinds []string
	for _, one := range typical {
		if strings.HasPrefix(one.line, "Nov 27") {
			kinds = append(kinds, one.line[stamp:])
		}
	}
	began := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprint(b, began.Add(time.Duration(i)*time.Second/20).Format(time.Stamp))
		fmt.Fprintf(b, kinds[i%len(kinds)]+"\n", i%30000+1, i)
	}
	return errors.Join(b.Flush(), f.Close())
}
