package engine

import "tallyman"

// code is the reply to a request that was refused.
func code(r tallyman.Reason, op tallyman.Op) int {
	switch r {
	case tallyman.Exists, tallyman.BadRequest:
		if op == tallyman.OpPut || op == tallyman.OpAppend {
			return 553
		}
		return 550
	case tallyman.DiskFull:
		return 452
	case tallyman.Quota:
		return 552
	case tallyman.IOError, tallyman.ServerError:
		return 451
	default:
		return 550
	}
}

// transferCode is the reply to a transfer that had begun and failed on our side.
func transferCode(r tallyman.Reason) int {
	switch r {
	case tallyman.DiskFull:
		return 452
	case tallyman.Quota:
		return 552
	default:
		return 451
	}
}

// public is what the client is told of a reason: nothing of our folders.
func public(r tallyman.Reason) string {
	switch r {
	case tallyman.NotFound:
		return "No such file or folder"
	case tallyman.NotReadable:
		return "It may not be read"
	case tallyman.NotWritable:
		return "It may not be written"
	case tallyman.Exists:
		return "The name is taken"
	case tallyman.Policy, tallyman.NotAllowed:
		return "Not allowed here"
	case tallyman.BadRequest:
		return "That is no name for a file here"
	case tallyman.DiskFull:
		return "The disk is full"
	case tallyman.Quota:
		return "It is too large"
	case tallyman.ControlLost:
		return "The control connection was lost"
	case tallyman.NoCloseNotify:
		return "The data connection was cut: no close_notify came, nothing is stored"
	case tallyman.ClientAbort:
		return "Broken off"
	case tallyman.ClientGone:
		return "The data connection was reset"
	case tallyman.ClientSilent:
		return "Nothing moved for too long"
	case tallyman.Timeout:
		return "No data connection"
	case tallyman.ClientError:
		return "The TLS handshake failed"
	case tallyman.DataPeerMismatch:
		return "The data connection is not of this client"
	case tallyman.Kicked:
		return "Ended by the operator"
	case tallyman.Shutdown:
		return "The server stops"
	default:
		return "It failed here"
	}
}
