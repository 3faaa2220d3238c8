package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
)

// datagram is an Ethernet frame with UDP over IPv4.
func datagram(src, dst, payload string) []byte {
	a, b := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	ip := []byte{0x45, 0}
	ip = binary.BigEndian.AppendUint16(ip, uint16(28+len(payload)))
	ip = append(ip, 0, 0, 0, 0, 64, 17, 0, 0)
	ip = append(append(ip, a.Addr().AsSlice()...), b.Addr().AsSlice()...)
	ip = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(ip, a.Port()), b.Port())
	ip = append(binary.BigEndian.AppendUint16(ip, uint16(8+len(payload))), 0, 0)
	return append(append(append(make([]byte, 12), 8, 0), ip...), payload...)
}

// writeCapture writes a capture of one TFTP download of two bytes by 10.0.0.7: capture FILE NAME [SECONDS]. It begins at 18:00 on 20 November 2026, UTC, or so
// many seconds later. A file that ends in ng is pcapng.
func writeCapture(ts *testscript.TestScript, _ bool, args []string) {
	began := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	if len(args) > 2 {
		later, err := time.ParseDuration(args[2] + "s")
		ts.Check(err)
		began = began.Add(later)
	}
	out, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer out.Close()
	var w interface {
		WritePacket(ci gopacket.CaptureInfo, data []byte) error
	}
	flush := func() error { return nil }
	if name := args[0]; name[len(name)-2:] == "ng" {
		ng, err := pcapgo.NewNgWriter(out, layers.LinkTypeEthernet)
		ts.Check(err)
		w, flush = ng, ng.Flush
	} else {
		classic := pcapgo.NewWriter(out)
		ts.Check(classic.WriteFileHeader(1<<16, layers.LinkTypeEthernet))
		w = classic
	}
	for i, f := range [][]byte{
		datagram("10.0.0.7:2000", "10.0.0.1:69", "\x00\x01"+args[1]+"\x00octet\x00"),
		datagram("10.0.0.1:4000", "10.0.0.7:2000", "\x00\x03\x00\x01hi"),
		datagram("10.0.0.7:2000", "10.0.0.1:4000", "\x00\x04\x00\x01"),
	} {
		at := began.Add(time.Duration(i) * time.Millisecond)
		ts.Check(w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(f), Length: len(f)}, f))
	}
	ts.Check(flush())
}

// runExamples runs every line of README.md and of the help that begins with the command: examples REPO COMMAND. They must end with 0, or 3 for what is found.
// What another program would write to standard input is lab.pcap.
func runExamples(ts *testscript.TestScript, _ bool, args []string) {
	readme, err := os.ReadFile(filepath.Join(args[0], "README.md"))
	ts.Check(err)
	ts.Check(ts.Exec("tallyman", args[1], "-h"))
	n := 0
	for line := range strings.Lines(string(readme) + ts.ReadFile("stdout")) {
		line = strings.TrimSpace(line)
		if _, after, ok := strings.Cut(line, " | tallyman "+args[1]); ok && strings.HasPrefix(line, "tcpdump ") {
			line = "tallyman " + args[1] + after + " < lab.pcap"
		}
		if !strings.HasPrefix(line, "tallyman "+args[1]+" ") || strings.Contains(line, "[flags]") {
			continue
		}
		n++
		err := ts.Exec("sh", "-c", line)
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != exitFound) {
			ts.Fatalf("%s: %v", line, err)
		}
	}
	if n < 8 {
		ts.Fatalf("%d examples were run", n)
	}
}
