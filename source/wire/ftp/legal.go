package ftp

import (
	"strings"

	"tallyman"
)

// transferOps are the commands that move content over a data connection.
func transferOp(verb string) tallyman.Op {
	switch verb {
	case "RETR":
		return tallyman.OpGet
	case "STOR", "STOU":
		return tallyman.OpPut
	case "APPE":
		return tallyman.OpAppend
	case "LIST", "NLST", "MLSD":
		return tallyman.OpList
	default:
		return tallyman.NoOp
	}
}

// legal reports whether the code is a reply that RFC 959 (section 5.4) and its successors know for the command. Any command may be refused.
func legal(verb string, code int) bool {
	if code >= 400 {
		return true
	}
	switch verb {
	case "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD":
		return code < 200 || code == 226 || code == 250
	case "":
		return code == 220 || code == 120
	case "USER":
		return code == 230 || code == 331 || code == 332 || code == 232 || code == 336
	case "PASS", "ACCT":
		return code == 230 || code == 202 || code == 332 || code == 232
	case "CWD", "XCWD", "CDUP", "XCUP", "RMD", "XRMD", "DELE", "RNTO":
		return code == 250 || code == 200
	case "PWD", "XPWD", "MKD", "XMKD":
		return code == 257 || code == 250
	case "PASV":
		return code == 227
	case "EPSV":
		return code == 229 || code == 200
	case "PORT", "EPRT", "TYPE", "MODE", "STRU", "NOOP", "PBSZ", "PROT", "CCC", "ALLO":
		return code == 200 || code == 202
	case "REST", "RNFR":
		return code == 350
	case "SIZE", "MDTM":
		return code == 213
	case "STAT":
		return code == 211 || code == 212 || code == 213
	case "SYST":
		return code == 215
	case "FEAT":
		return code == 211
	case "QUIT":
		return code == 221 || code == 226
	case "ABOR":
		return code == 225 || code == 226
	case "AUTH":
		return code == 234 || code == 334
	default:
		return code >= 200
	}
}

// refusal turns a negative reply to a transfer command that had not begun into a reason: by its code, and by its words where servers use one code for
// many things.
func refusal(code int, text string, op tallyman.Op) tallyman.Reason {
	denied := tallyman.NotReadable
	if op == tallyman.OpPut || op == tallyman.OpAppend {
		denied = tallyman.NotWritable
	}
	switch {
	case code == 530 || code == 532:
		return tallyman.LoginFailed
	case code >= 500 && code <= 504:
		return tallyman.BadRequest
	case code == 452:
		return tallyman.DiskFull
	case code == 552:
		return tallyman.Quota
	case code == 450 || code == 451:
		return tallyman.IOError
	}
	text = strings.ToLower(text)
	for _, w := range []struct {
		word   string
		reason tallyman.Reason
	}{
		{"no such file", tallyman.NotFound},
		{"not found", tallyman.NotFound},
		{"does not exist", tallyman.NotFound},
		{"can't find", tallyman.NotFound},
		{"space", tallyman.DiskFull},
		{"quota", tallyman.Quota},
		{"exist", tallyman.Exists},
		{"permission", denied},
		{"denied", denied},
		{"not allowed", denied},
		{"prohibited", denied},
		{"read-only", denied},
		{"directory", denied},
		{"not a plain file", denied},
		{"not a regular file", denied},
	} {
		if strings.Contains(text, w.word) {
			return w.reason
		}
	}
	switch {
	case code == 553:
		return denied
	case code == 550 && denied == tallyman.NotWritable:
		return denied
	case code == 550:
		return tallyman.NotFound
	default:
		return tallyman.Policy
	}
}

// brokenOff turns a negative reply to a transfer that had begun, or was about to, into a reason.
func brokenOff(code int, text string, aborted bool) tallyman.Reason {
	text = strings.ToLower(text)
	switch {
	case aborted:
		return tallyman.ClientAbort
	case code == 421:
		return tallyman.Timeout
	case code == 425 && (strings.Contains(text, "foreign") || strings.Contains(text, "security") || strings.Contains(text, "does not match")):
		return tallyman.DataPeerMismatch
	case code == 426:
		return tallyman.ClientGone
	case code == 452 || strings.Contains(text, "space"):
		return tallyman.DiskFull
	case code == 552:
		return tallyman.Quota
	default:
		return tallyman.ServerError
	}
}
