package engine

import (
	"slices"
	"strings"

	"tallyman"
	"tallyman/source/ftp/command"
)

// verb is how a command is obeyed. open needs no login; guarded is refused in clear where TLS is required.
type verb struct {
	do            func(*Machine, command.Command)
	open, guarded bool
}

// find knows all that is understood. What it does not know is answered 502 and not told by FEAT. (A map of these would refer to itself.)
func find(name string) (verb, bool) {
	switch name {
	case "USER":
		return verb{do: (*Machine).doUser, open: true, guarded: true}, true
	case "PASS":
		return verb{do: (*Machine).doPass, open: true, guarded: true}, true
	case "QUIT":
		return verb{do: (*Machine).doQuit, open: true}, true
	case "AUTH":
		return verb{do: (*Machine).doAuth, open: true}, true
	case "PBSZ":
		return verb{do: (*Machine).doPbsz, open: true}, true
	case "PROT":
		return verb{do: (*Machine).doProt, open: true}, true
	case "FEAT":
		return verb{do: (*Machine).doFeat, open: true}, true
	case "SYST":
		return verb{do: (*Machine).doSyst, open: true}, true
	case "HELP":
		return verb{do: (*Machine).doHelp, open: true}, true
	case "NOOP":
		return verb{do: (*Machine).doNoop, open: true}, true
	case "OPTS":
		return verb{do: (*Machine).doOpts, open: true}, true
	case "TYPE":
		return verb{do: (*Machine).doType}, true
	case "MODE":
		return verb{do: (*Machine).doMode}, true
	case "STRU":
		return verb{do: (*Machine).doStru}, true
	case "PASV":
		return verb{do: (*Machine).doPasv}, true
	case "EPSV":
		return verb{do: (*Machine).doEpsv}, true
	case "PORT", "EPRT":
		return verb{do: (*Machine).doPort}, true
	case "REST":
		return verb{do: (*Machine).doRest}, true
	case "ALLO":
		return verb{do: (*Machine).doAllo}, true
	case "RETR":
		return verb{do: (*Machine).doRetr}, true
	case "STOR", "APPE", "STOU":
		return verb{do: (*Machine).doStor}, true
	case "ABOR":
		return verb{do: (*Machine).doAbor}, true
	case "LIST", "NLST", "MLSD":
		return verb{do: (*Machine).doList}, true
	case "CWD", "XCWD", "CDUP", "XCUP":
		return verb{do: (*Machine).doCwd}, true
	case "PWD", "XPWD":
		return verb{do: (*Machine).doPwd}, true
	case "SIZE", "MDTM", "MLST", "AVBL", "HASH", "XSHA256", "MKD", "XMKD", "RMD", "XRMD", "DELE", "RNFR":
		return verb{do: (*Machine).doName}, true
	case "RNTO":
		return verb{do: (*Machine).doRnto}, true
	case "MFMT":
		return verb{do: (*Machine).doMfmt}, true
	case "STAT":
		return verb{do: (*Machine).doStat}, true
	case "SITE":
		return verb{do: (*Machine).doSite}, true
	default:
		return verb{}, false
	}
}

// understood is what HELP tells: what find knows, which a test compares.
const understood = "ABOR ALLO APPE AUTH AVBL CDUP CWD DELE EPRT EPSV FEAT HASH HELP LIST MDTM MFMT MKD MLSD MLST MODE NLST NOOP OPTS PASS PASV PBSZ PORT PROT PWD QUIT " +
	"REST RETR RMD RNFR RNTO SITE SIZE STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD XPWD XRMD XSHA256"

func (m *Machine) doHelp(command.Command) {
	lines := []string{"Understood here:"}
	for row := range slices.Chunk(strings.Fields(understood), 10) {
		lines = append(lines, strings.Join(row, " "))
	}
	m.reply(214, append(lines, "End")...)
}

func (m *Machine) doFeat(command.Command) {
	lines := []string{"Beyond RFC 959:"}
	if m.cfg.TLS != None {
		lines = append(lines, "AUTH TLS", "PBSZ", "PROT")
	}
	if m.cfg.Active {
		lines = append(lines, "EPRT")
	}
	if m.cfg.Passive {
		lines = append(lines, "EPSV", "PASV")
	}
	lines = append(lines, "AVBL", "HASH SHA-256*", "MDTM", "MFMT", "MLST "+m.facts.Feature(), "REST STREAM", "SIZE", "TVFS", "UTF8", "XSHA256")
	m.reply(211, append(lines, "End")...)
}

func (m *Machine) doOpts(c command.Command) {
	what, rest, _ := strings.Cut(c.Arg, " ")
	switch what = strings.ToUpper(what); {
	case (what == "UTF8" || what == "UTF-8") && (rest == "" || strings.EqualFold(rest, "ON") || strings.EqualFold(rest, "NLST")):
		m.reply(200, "Names are bytes, UTF-8 by custom")
	case what == "MLST":
		m.facts = choose(rest)
		m.reply(200, strings.TrimSpace("MLST OPTS "+m.facts.Chosen()))
	case what == "HASH" && (rest == "" || strings.EqualFold(rest, "SHA-256")):
		m.reply(200, "SHA-256")
	default:
		m.reply(501, "OPTS UTF8, MLST and HASH are known here")
	}
}

func (m *Machine) doType(c command.Command) {
	switch strings.ToUpper(c.Arg) {
	case "A", "A N":
		m.ascii = true
	case "I", "L 8", "L8":
		m.ascii = false
	default:
		m.reply(504, "TYPE A and TYPE I are known here")
		return
	}
	m.reply(200, "OK")
}

func (m *Machine) doMode(c command.Command) { m.only(c, "S") }

func (m *Machine) doStru(c command.Command) { m.only(c, "F") }

// only accepts the one value that there is.
func (m *Machine) only(c command.Command, value string) {
	if !strings.EqualFold(c.Arg, value) {
		m.reply(504, c.Verb+" "+value+" is known here")
		return
	}
	m.reply(200, "OK")
}

func (m *Machine) doRest(c command.Command) {
	n, err := command.Offset(c.Arg)
	switch {
	case err != nil:
		m.reply(501, "REST needs a number of bytes")
	case m.ascii && n > 0:
		m.reply(554, "REST counts bytes of TYPE I") // an offset in TYPE A means nothing to a file of another line end
	default:
		m.offset = n
		m.reply(350, "The next transfer begins at byte "+c.Arg)
	}
}

func (m *Machine) doAllo(c command.Command) {
	n, err := command.Allocation(c.Arg)
	if err != nil {
		m.reply(501, "ALLO needs a number of bytes")
		return
	}
	m.announced = n
	m.reply(200, "Noted")
}

func (m *Machine) doSite(c command.Command) {
	what, rest, _ := strings.Cut(c.Arg, " ")
	switch strings.ToUpper(what) {
	case "HELP":
		m.reply(214, "SITE understands:", "CHMOD MODE NAME", "HELP", "End")
	case "CHMOD":
		m.doChmod(rest)
	default:
		m.reply(504, "SITE HELP tells what is understood")
	}
}

// refuseCommand tells of a command that is no transfer and was refused.
func (m *Machine) refuseCommand(c command.Command, r tallyman.Reason, text string) {
	m.do(Event{Kind: tallyman.KindCommandRefused, Reason: r, User: m.user, Text: strings.TrimSpace(tallyman.Escape(c.Shown()) + ": " + text)})
}

func (m *Machine) doNoop(command.Command) { m.reply(200, "OK") }

func (m *Machine) doSyst(command.Command) { m.reply(215, "UNIX Type: L8") }
