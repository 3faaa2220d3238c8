package format_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/logs/format"
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

func BenchmarkLines(b *testing.B) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, one := range typical {
		b.Run(one.name, func(b *testing.B) {
			lines := make([]string, 10_000)
			for i := range lines {
				lines[i] = fmt.Sprintf(one.line, i+1, i)
			}
			r := format.NewReader(format.Options{Host: "vm"})
			out := make([]tallyman.Evidence, 0, 4)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				var result format.Result
				out, result = r.Line(one.name, lines[n%len(lines)], now, out[:0])
				if result.Outcome != format.Told {
					b.Fatal(lines[n%len(lines)], result)
				}
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkMillion reads a million lines of all formats with pids that all differ, and says by how much the heap has grown.
func BenchmarkMillion(b *testing.B) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		r := format.NewReader(format.Options{Host: "vm"})
		out := make([]tallyman.Evidence, 0, 4)
		var half uint64
		for i := range 1_000_000 {
			one := typical[i%len(typical)]
			out, _ = r.Line(one.name, fmt.Sprintf(one.line, i+1, i), now, out[:0])
			if i == 500_000 {
				half = heap()
			}
		}
		b.ReportMetric(float64(heap())/1e6, "heap-MB")
		b.ReportMetric(float64(half)/1e6, "heap-MB-half")
		runtime.KeepAlive(r)
	}
}
