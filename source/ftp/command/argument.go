package command

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tallyman"
)

// Errors of arguments.
var (
	ErrArgument = errors.New("the argument is malformed")
	ErrFamily   = errors.New("the address family is not supported")
)

// Port reads h1,h2,h3,h4,p1,p2 (RFC 959, 4.1.2).
func Port(arg string) (netip.AddrPort, error) {
	part := strings.Split(arg, ",")
	if len(part) != 6 {
		return netip.AddrPort{}, ErrArgument
	}
	var b [6]byte
	for i, p := range part {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 3 {
			return netip.AddrPort{}, ErrArgument
		}
		b[i] = byte(n)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5])), nil
}

// AppendPort writes what Port reads, for the reply to PASV. The address is IPv4.
func AppendPort(to []byte, a netip.AddrPort) []byte {
	ip := a.Addr().Unmap().As4()
	for _, b := range ip {
		to = append(strconv.AppendUint(to, uint64(b), 10), ',')
	}
	to = append(strconv.AppendUint(to, uint64(a.Port()>>8), 10), ',')
	return strconv.AppendUint(to, uint64(a.Port()&255), 10)
}

// ExtendedPort reads <d>1<d>192.0.2.1<d>1024<d> or <d>2<d>2001:db8::1<d>1024<d> (RFC 2428, section 2).
func ExtendedPort(arg string) (netip.AddrPort, error) {
	if len(arg) < 2 || arg[0] < 33 || arg[0] > 126 {
		return netip.AddrPort{}, ErrArgument
	}
	part := strings.Split(arg, arg[:1])
	if len(part) != 5 || part[0] != "" || part[4] != "" {
		return netip.AddrPort{}, ErrArgument
	}
	if part[1] != "1" && part[1] != "2" {
		return netip.AddrPort{}, ErrFamily
	}
	ip, err := netip.ParseAddr(part[2])
	if err != nil || ip.Zone() != "" || ip.Is4() != (part[1] == "1") {
		return netip.AddrPort{}, ErrArgument
	}
	port, err := strconv.ParseUint(part[3], 10, 16)
	if err != nil || len(part[3]) > 5 {
		return netip.AddrPort{}, ErrArgument
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

// Offset reads a number of bytes, as of REST and ALLO. Signs, spaces and what does not fit 63 bits are refused.
func Offset(arg string) (int64, error) {
	if arg == "" || strings.Trim(arg, "0123456789") != "" {
		return 0, ErrArgument
	}
	n, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return 0, ErrArgument
	}
	return n, nil
}

// Allocation reads the size of ALLO: n, or n R m (RFC 959, 4.1.3), of which n counts.
func Allocation(arg string) (int64, error) {
	size, record, more := strings.Cut(arg, " ")
	if more {
		m, ok := strings.CutPrefix(record, "R ")
		if _, err := Offset(m); !ok || err != nil {
			return 0, ErrArgument
		}
	}
	return Offset(size)
}

// stampLayout is the time-val of RFC 3659, 2.3; a fraction may follow.
const stampLayout = "20060102150405"

// Stamp reads a time-val in UTC.
func Stamp(text string) (time.Time, error) {
	whole, fraction, more := strings.Cut(text, ".")
	if len(whole) != len(stampLayout) || more && (fraction == "" || len(fraction) > 9 || strings.Trim(fraction, "0123456789") != "") {
		return time.Time{}, ErrArgument
	}
	t, err := time.ParseInLocation(stampLayout, whole, time.UTC)
	if err != nil {
		return time.Time{}, ErrArgument
	}
	if more {
		n, _ := strconv.Atoi((fraction + "000000000")[:9])
		t = t.Add(time.Duration(n))
	}
	return t, nil
}

// AppendStamp writes a time-val in UTC, with milliseconds where there are any.
func AppendStamp(to []byte, t time.Time) []byte {
	t = t.UTC()
	to = t.AppendFormat(to, stampLayout)
	if ms := t.Nanosecond() / 1e6; ms > 0 {
		to = append(to, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	return to
}

// Root is the folder that a session begins in.
const Root = "/"

// Resolve makes the absolute path of an argument, below the folder that the session is in. ".." goes one folder up, by the text alone; above the root it is
// refused (tallyman.ErrNameEscapes) and never cut off. The zero Name is the root itself.
func Resolve(in, arg string) (path string, name tallyman.Name, err error) {
	var stack []string
	from := arg
	if !strings.HasPrefix(arg, "/") {
		from = in + "/" + arg
	}
	if len(from) > tallyman.MaxNameLength {
		return "", tallyman.Name{}, tallyman.ErrNameLong
	}
	for element := range strings.SplitSeq(from, "/") {
		switch element {
		case "", ".":
		case "..":
			if len(stack) == 0 {
				return "", tallyman.Name{}, tallyman.ErrNameEscapes
			}
			stack = stack[:len(stack)-1]
		default:
			stack = append(stack, element)
		}
	}
	path = Root + strings.Join(stack, "/")
	if path == Root {
		return path, tallyman.Name{}, nil
	}
	name, err = tallyman.ParseName(path)
	return path, name, err
}

// ListArgument takes the options of ls off the argument of LIST: clients send "-a", "-la NAME". NLST may have them too.
func ListArgument(arg string) string {
	for strings.HasPrefix(arg, "-") {
		_, rest, _ := strings.Cut(arg, " ")
		arg = strings.TrimLeft(rest, " ")
	}
	return arg
}
