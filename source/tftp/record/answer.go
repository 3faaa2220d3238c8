package record

import (
	"tallyman"
	"tallyman/source/tftp/packet"
)

// Answer is what the client is told of a reason: the code that RFC 1350
// gives it and a sentence that shows nothing of our folders.
func Answer(r tallyman.Reason) packet.Error {
	switch r {
	case tallyman.NotFound:
		return packet.Error{Code: packet.NotFound, Text: "file not found"}
	case tallyman.NotReadable:
		return packet.Error{Code: packet.AccessViolation, Text: "file is not readable"}
	case tallyman.NotWritable:
		return packet.Error{Code: packet.AccessViolation, Text: "folder is not writable"}
	case tallyman.NotAllowed:
		return packet.Error{Code: packet.AccessViolation, Text: "this address is not allowed"}
	case tallyman.Policy:
		return packet.Error{Code: packet.AccessViolation, Text: "not allowed here"}
	case tallyman.Exists:
		return packet.Error{Code: packet.FileExists, Text: "file exists"}
	case tallyman.DiskFull:
		return packet.Error{Code: packet.DiskFull, Text: "disk full"}
	case tallyman.Quota:
		return packet.Error{Code: packet.DiskFull, Text: "file is too large"}
	case tallyman.BadRequest:
		return packet.Error{Code: packet.AccessViolation, Text: "bad file name"}
	case tallyman.ServerError, tallyman.IOError:
		return packet.Error{Code: packet.Undefined, Text: "input or output error"}
	default:
		return packet.Error{Code: packet.Undefined, Text: string(r)}
	}
}
