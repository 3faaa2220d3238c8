package entry

import (
	"strings"

	"tallyman"
)

// NetReason is what the text of a socket error means (strerror(3)).
func NetReason(text string) tallyman.Reason {
	switch text {
	case "Connection refused", "Connection reset by peer", "No route to host", "Host is unreachable", "Network is unreachable", "Broken pipe":
		return tallyman.ClientGone
	case "Connection timed out":
		return tallyman.ClientSilent
	}
	return FileReason(text, tallyman.IOError)
}

// FileReason is what the text of a file error means (strerror(3), RFC 1350 section 5); denied is what a denial means for this operation.
func FileReason(text string, denied tallyman.Reason) tallyman.Reason {
	switch {
	case strings.HasPrefix(text, "No such file") || text == "File not found":
		return tallyman.NotFound
	case text == "Permission denied" || text == "Access denied" || text == "Access violation" || text == "Operation not permitted",
		text == "Is a directory" || text == "Not a directory" || text == "Read-only file system":
		return denied
	case text == "File exists" || text == "File already exists":
		return tallyman.Exists
	case text == "No space left on device" || strings.HasPrefix(text, "Disk full"):
		return tallyman.DiskFull
	case text == "Disk quota exceeded":
		return tallyman.Quota
	case text == "File name too long":
		return tallyman.BadRequest
	}
	return tallyman.IOError
}

// Denial is what "denied" means for an operation.
func Denial(op tallyman.Op) tallyman.Reason {
	switch op {
	case tallyman.OpGet, tallyman.OpList:
		return tallyman.NotReadable
	case tallyman.OpPut, tallyman.OpAppend:
		return tallyman.NotWritable
	default:
		return tallyman.NotAllowed
	}
}

// WellDone is what a line that claims success means.
func WellDone(op tallyman.Op) tallyman.Reason {
	if op == tallyman.OpPut || op == tallyman.OpAppend {
		return tallyman.Stored
	}
	return tallyman.ClosedWell
}
