//go:build !race

package replay

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"tallyman"
)

// part is how many lines or packets are read before the heap is looked at: all memos of the formats (2 x 8192), and what waits for 80 s, are full by then; the
// verdicts that were told (2 x 32,768, 2 MB) are not.
const part = 20_000

// feed is a file that is made as it is read.
type feed struct {
	head []byte // of the file
	made int
	make func(i int) []byte
	look func(made int) // before each
	rest []byte
}

func (f *feed) Read(b []byte) (int, error) {
	if f.head != nil {
		f.rest, f.head = f.head, nil
	}
	for len(f.rest) == 0 {
		f.look(f.made)
		if f.made == 4*part {
			return 0, io.EOF
		}
		f.rest = f.make(f.made)
		f.made++
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// heap is what is in use, after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the first one may have begun before the last garbage was made
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// client is one of 16 million.
func client(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// at is when the line is written: 40 a second.
func at(i int) time.Time { return noon.AddDate(0, -1, 0).Add(time.Duration(i) * 25 * time.Millisecond) }

// kinds are lines of each kind; no client and no name comes twice.
var kinds = map[string]func(i int) string{
	"tftpd-hpa": func(i int) string {
		head := fmt.Sprintf("%s lab in.tftpd[%d]: ", at(i).Format(time.Stamp), i/2%30000+1)
		if i%2 == 0 {
			return head + fmt.Sprintf("RRQ from %s filename f%d.bin", client(i/2), i/2)
		}
		return head + fmt.Sprintf("sending NAK (1, File not found) to %s", client(i/2))
	},
	"vsftpd": func(i int) string {
		return fmt.Sprintf(`%s [pid %d] [lu] OK UPLOAD: Client "%s", "/srv/up%d.bin", 3000 bytes, 160.43Kbyte/sec`, at(i).Format(time.ANSIC), i%30000+1, client(i), i)
	},
	"sshd": func(i int) string {
		return fmt.Sprintf("%s lab sshd[%d]: Failed password for u%d from %s port 54410 ssh2", at(i).Format(time.Stamp), i%30000+1, i, client(i))
	},
	"sshd that says no more": func(i int) string {
		return fmt.Sprintf("%s lab sshd[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=u%d",
			at(i).Format(time.Stamp), i%30000+1, client(i), i)
	},
	"SFTPGo": func(i int) string {
		return fmt.Sprintf(`{"level":"info","time":%q,"sender":"Upload","remote_addr":"%s:2000","elapsed_ms":14,"size_bytes":62,"username":"u","file_path":"/srv/up-%d.bin","connection_id":"FTP_0_%d","protocol":"FTP"}`,
			at(i).Format("2006-01-02T15:04:05.000"), client(i), i, i)
	},
	"a clock that stands still": func(i int) string {
		return fmt.Sprintf("%s lab in.tftpd[%d]: RRQ from %s filename f%d.bin", at(0).Format(time.Stamp), i+1, client(i), i)
	},
}

// requests is a capture: each client asks once, and is refused, or not answered.
func requests(i int) []byte {
	from := netip.AddrPortFrom(client(i/2), 2000)
	to := netip.MustParseAddrPort("192.0.2.1:69")
	if i%4 == 1 {
		return packet(i, netip.AddrPortFrom(to.Addr(), 4000), from, "\x00\x05\x00\x01File not found\x00")
	}
	return packet(i, from, to, fmt.Sprintf("\x00\x01f%d.bin\x00octet\x00", i/2))
}

// pcapHead is that of a capture of IP packets (pcap-savefile(5), link type 101).
func pcapHead() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, 1<<16), 101)
}

func packet(i int, from, to netip.AddrPort, payload string) []byte {
	n := uint32(28 + len(payload))
	b := binary.LittleEndian.AppendUint32(nil, uint32(at(i).Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at(i).Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, n), n)
	b = binary.BigEndian.AppendUint16(append(b, 0x45, 0), uint16(n))
	b = append(b, 0, 0, 0, 0, 64, 17, 0, 0)
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, from.Port()), to.Port())
	return append(binary.BigEndian.AppendUint16(b, uint16(8+len(payload))), "\x00\x00"+payload...)
}

// TestMemoryIsConstant reads files of each kind, and looks at the heap after a part of them and at their end, four times as far.
func TestMemoryIsConstant(t *testing.T) {
	run := func(t *testing.T, f *feed) {
		var first, last uint64
		f.look = func(made int) {
			switch made {
			case part:
				first = heap()
			case 4 * part:
				last = heap()
			}
		}
		p, err := Open(config(), []string{"-"}, f)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		told := 0
		if err := p.Run(t.Context(), func(tallyman.Record, tallyman.Verdict) error { told++; return nil }); err != nil {
			t.Fatal(err)
		}
		if told < part {
			t.Fatalf("%d records of %d lines", told, 4*part)
		}
		t.Logf("%d kB after %d, %d kB after %d: %.2f", first>>10, part, last>>10, 4*part, float64(last)/float64(first))
		if last > first+first/2 {
			t.Errorf("the heap grew from %d to %d bytes", first, last)
		}
	}
	for name, line := range kinds {
		t.Run(name, func(t *testing.T) { run(t, &feed{make: func(i int) []byte { return []byte(line(i) + "\n") }}) })
	}
	t.Run("requests on the wire", func(t *testing.T) { run(t, &feed{head: pcapHead(), make: requests}) })
}
