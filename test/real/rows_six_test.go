//go:build real

package real

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"

	"tallyman/source/logs"
)

// rowsOf picks rows by their names.
func rowsOf(all []row, names ...string) []row {
	return slices.DeleteFunc(all, func(r row) bool { return !slices.Contains(names, r.name) })
}

// The same ends over IPv6, with all three witnesses.
func TestRowsOverIPv6AreJudgedRight(t *testing.T) {
	t.Run("tftpd-hpa", func(t *testing.T) {
		t.Parallel()
		at := netip.AddrPortFrom(netip.IPv6Loopback(), uint16(10000+os.Getpid()%5000*4))
		rows := rowsOf(hpaRows(), "R1", "R2", "R8", "W1", "W2", "W3")
		onOne(t, 0, at, rows, "in.tftpd", hpaStall, func(s *stage, root string) []logs.File {
			program, libraries := peer(t, "tftpd-hpa")
			s.launch(program, libraries, "-L", "-vvvv", "-a", at.String(), "-c", "-u", "nobody", "-s", "-T", fmt.Sprint(hpaTimeout.Microseconds()), root)
			return nil
		})
	})
	t.Run("dnsmasq", func(t *testing.T) { // it takes no uploads
		t.Parallel()
		at := netip.AddrPortFrom(netip.IPv6Loopback(), 69)
		onOne(t, 1, at, rowsOf(lies(false), "good", "gone", "none"), "dnsmasq", othersStall, dnsmasqOn(at.Addr()))
	})
}
