package ftp

import (
	"net/netip"
	"strings"

	"tallyman"
	"tallyman/source/logs/format/entry"
)

// ftpOp is what a command does to a file (RFC 959, 3659); NoOp for all that touch none.
func ftpOp(verb string) tallyman.Op {
	switch strings.ToUpper(verb) {
	case "RETR":
		return tallyman.OpGet
	case "STOR", "STOU":
		return tallyman.OpPut
	case "APPE":
		return tallyman.OpAppend
	case "LIST", "NLST", "MLSD":
		return tallyman.OpList
	case "DELE":
		return tallyman.OpDelete
	case "MKD", "XMKD":
		return tallyman.OpMkdir
	case "RMD", "XRMD":
		return tallyman.OpRmdir
	case "RNFR", "RNTO":
		return tallyman.OpRename
	}
	return tallyman.NoOp
}

// ftpRefusal is what a reply of 4xx or 5xx to a transfer means when no data has moved (RFC 959 section 4.2; 522 is RFC 2428).
func ftpRefusal(code int64, text string, op tallyman.Op) tallyman.Reason {
	switch code {
	case 530, 532:
		return tallyman.NotAllowed
	case 450, 550:
		switch {
		case strings.Contains(text, "No such file"), strings.Contains(text, "not found"), strings.Contains(text, "doesn't exist"):
			return tallyman.NotFound
		case strings.Contains(text, "ermission denied"):
			return entry.Denial(op)
		}
		return tallyman.NotAllowed
	case 451:
		return tallyman.IOError
	case 452:
		return tallyman.DiskFull
	case 552:
		return tallyman.Quota
	case 553:
		return entry.Denial(op)
	case 521, 522:
		return tallyman.Policy
	}
	return tallyman.BadRequest
}

// ftpFailure is what a reply of 4xx or 5xx means when data has moved.
func ftpFailure(code int64) tallyman.Reason {
	switch code {
	case 425, 426:
		return tallyman.ClientGone
	case 452:
		return tallyman.DiskFull
	case 552:
		return tallyman.Quota
	case 450, 451:
		return tallyman.IOError
	}
	return tallyman.ServerError
}

// unconfirmed marks the claim of a stored upload: a server without the client's word writes it when the client was cut off, too.
func unconfirmed(v *tallyman.Evidence) []entry.Fact {
	if v.Kind == tallyman.KindClosed && v.Reason == tallyman.Stored {
		return []entry.Fact{entry.Assumed()}
	}
	return nil
}

// refusedCommand says about a command that is no transfer what was refused. A data port at another address than the client's is a bounce.
func refusedCommand(v *tallyman.Evidence, verb, argument string) []entry.Fact {
	facts := []entry.Fact{entry.NewFact("command", verb)}
	if v.Op != tallyman.NoOp {
		v.Name = argument
		return facts
	}
	if argument != "" {
		facts = append(facts, entry.NewFact("argument", argument))
	}
	var to netip.Addr
	switch strings.ToUpper(verb) {
	case "PORT": // h1,h2,h3,h4,p1,p2
		if f := strings.Split(argument, ","); len(f) == 6 {
			to, _ = entry.Address(strings.Join(f[:4], "."))
		}
	case "EPRT": // |1|address|port|
		if f := strings.Split(argument, "|"); len(f) == 5 {
			to, _ = entry.Address(f[2])
		}
	}
	if to.IsValid() && v.Peer.IsValid() && to != v.Peer.Addr() {
		v.Reason = tallyman.Bounce
	}
	return facts
}

// ftpDone fills in the end of a command by its reply: a transfer, a refused transfer, a change of the tree, a login, or a refused command. It
// returns false for what is none of these.
func ftpDone(v *tallyman.Evidence, verb string, code int64, text string) bool {
	op := ftpOp(verb)
	failed := code >= 400
	switch {
	case strings.EqualFold(verb, "PASS") && code == 230:
		v.Kind = tallyman.KindLogin
	case strings.EqualFold(verb, "PASS") && failed, strings.EqualFold(verb, "USER") && code >= 500:
		v.Kind, v.Reason, v.Err = tallyman.KindLoginFailed, tallyman.LoginFailed, text
	case op.MovesContent() && code >= 200 && code < 300:
		v.Kind, v.Op, v.Reason = tallyman.KindClosed, op, entry.WellDone(op)
	case op.MovesContent() && failed && (v.Moved > 0 || code == 426):
		v.Kind, v.Op, v.Reason, v.Err = tallyman.KindClosed, op, ftpFailure(code), text
	case op.MovesContent() && code == 425:
		v.Kind, v.Op, v.Reason, v.Err = tallyman.KindClosed, op, tallyman.ClientGone, text
	case op.MovesContent() && failed:
		v.Kind, v.Op, v.Reason, v.Err = tallyman.KindRefusal, op, ftpRefusal(code, text, op), text
	case failed && code != 530 || failed && op != tallyman.NoOp:
		v.Kind, v.Op, v.Reason, v.Err = tallyman.KindCommandRefused, op, tallyman.NotAllowed, text
	case op != tallyman.NoOp && code >= 200 && code < 300:
		v.Kind, v.Op, v.Reason = tallyman.KindClosed, op, tallyman.ClosedWell
	default:
		return false
	}
	return true
}
