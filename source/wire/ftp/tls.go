package ftp

import "encoding/binary"

// isTLS reports whether a direction of a control connection begins with a TLS handshake.
func isTLS(b []byte) bool { return len(b) >= 3 && b[0] == 22 && b[1] == 3 && b[2] <= 4 }

// serverVersion reads the version that a ServerHello chose (RFC 8446, sections 4.1.3 and 4.2.1); "" when it is not to be seen.
func serverVersion(b []byte) string {
	if len(b) < 44 || !isTLS(b) || b[5] != 2 {
		return ""
	}
	version := binary.BigEndian.Uint16(b[9:])
	rest := b[43:]                               // behind version and random
	rest = rest[min(len(rest), 1+int(rest[0])):] // session id
	if len(rest) >= 5 {
		rest = rest[5:] // cipher suite, compression, length of the extensions
		for len(rest) >= 4 {
			kind, n := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
			rest = rest[4:]
			if kind == 43 && n == 2 && len(rest) >= 2 {
				version = binary.BigEndian.Uint16(rest)
			}
			rest = rest[min(n, len(rest)):]
		}
	}
	switch version {
	case 0x0301:
		return "1.0"
	case 0x0302:
		return "1.1"
	case 0x0303:
		return "1.2"
	case 0x0304:
		return "1.3"
	default:
		return ""
	}
}
