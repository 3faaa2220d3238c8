package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/ftp/command"
)

func (m *Machine) doPwd(command.Command) { m.reply(257, command.Quote(m.dir)+" is where you are") }

// doCwd changes the folder. From the root, CDUP and ".." stay there, as everywhere.
func (m *Machine) doCwd(c command.Command) {
	up := c.Verb == "CDUP" || c.Verb == "XCUP"
	arg := c.Arg
	if up {
		arg = ".."
	}
	if m.dir == command.Root && arg == ".." {
		m.reply(250, "You are at the top")
		return
	}
	if arg == "" {
		m.reply(501, c.Verb+" needs a folder")
		return
	}
	_, name, err := command.Resolve(m.dir, arg)
	if err != nil {
		m.reply(550, public(tallyman.BadRequest))
		return
	}
	m.ask(command.Command{Verb: "CWD", Arg: arg}, Do{Verb: "CWD", Name: name})
}

// doName is every command whose argument is one name.
func (m *Machine) doName(c command.Command) {
	switch c.Verb {
	case "XMKD":
		c.Verb = "MKD"
	case "XRMD":
		c.Verb = "RMD"
	case "XSHA256":
		c.Arg = strings.Trim(c.Arg, `"`)
	}
	_, name, err := command.Resolve(m.dir, c.Arg)
	if err != nil || c.Arg == "" && c.Verb != "MLST" && c.Verb != "AVBL" {
		m.reply(map[bool]int{true: 501, false: 550}[c.Arg == ""], public(tallyman.BadRequest))
		return
	}
	m.ask(c, Do{Verb: c.Verb, Name: name})
}

func (m *Machine) doRnto(c command.Command) {
	from := m.from
	m.from = tallyman.Name{}
	if from.Path() == "" {
		m.reply(503, "RNFR first")
		return
	}
	_, to, err := command.Resolve(m.dir, c.Arg)
	if err != nil || to.Path() == "" {
		m.reply(553, public(tallyman.BadRequest))
		return
	}
	m.ask(c, Do{Verb: "RNTO", Name: from, To: to})
}

func (m *Machine) doMfmt(c command.Command) {
	stamp, arg, _ := strings.Cut(c.Arg, " ")
	at, err := command.Stamp(stamp)
	if err != nil || arg == "" {
		m.reply(501, "MFMT YYYYMMDDHHMMSS NAME")
		return
	}
	_, name, err := command.Resolve(m.dir, arg)
	if err != nil {
		m.reply(550, public(tallyman.BadRequest))
		return
	}
	m.ask(c, Do{Verb: "MFMT", Name: name, At: at})
}

func (m *Machine) doChmod(rest string) {
	digits, arg, _ := strings.Cut(rest, " ")
	mode, err := strconv.ParseUint(digits, 8, 12)
	_, name, bad := command.Resolve(m.dir, arg)
	if err != nil || bad != nil || arg == "" || mode > 0o777 {
		m.reply(501, "SITE CHMOD MODE NAME, as in SITE CHMOD 644 a.cfg")
		return
	}
	m.ask(command.Command{Verb: "CHMOD", Arg: arg}, Do{Verb: "CHMOD", Name: name, Mode: uint32(mode)})
}

func (m *Machine) doStat(c command.Command) {
	if c.Arg != "" {
		arg := command.ListArgument(c.Arg)
		_, name, err := command.Resolve(m.dir, arg)
		if err != nil {
			m.reply(550, public(tallyman.BadRequest))
			return
		}
		m.ask(c, Do{Verb: "STAT", Name: name})
		return
	}
	if x := m.x; x != nil {
		of := ""
		if x.Size >= 0 && x.Op == tallyman.OpGet {
			of = fmt.Sprintf(" of %d", x.Size-x.Offset)
		}
		m.reply(213, fmt.Sprintf("%s runs: %d%s bytes", x.Verb, m.moved, of))
		return
	}
	kind := "TYPE I"
	if m.ascii {
		kind = "TYPE A"
	}
	m.reply(211, "Tallyman", "You are "+m.user+", from "+m.cfg.Client.Addr().Unmap().String(), kind+", MODE S, STRU F", "End")
}

// ask begins work on names.
func (m *Machine) ask(c command.Command, d Do) {
	m.doing = c
	m.do(d)
}

// namedBy are the commands that change names.
var namedBy = map[string]tallyman.Op{"MKD": tallyman.OpMkdir, "RMD": tallyman.OpRmdir, "DELE": tallyman.OpDelete, "RNTO": tallyman.OpRename}

// Did answers Do.
func (m *Machine) Did(now time.Time, a Answer) {
	m.now = now
	c := m.doing
	m.doing = command.Command{}
	m.idleAt = now.Add(m.cfg.Idle) // HASH of a large file takes its time
	op, names := namedBy[c.Verb]
	if names {
		m.do(Named{Op: op, Began: m.stamp(), Name: m.asked(c.Arg), Path: a.Path, To: a.To, Err: a.Err})
	}
	if a.Err != nil && c.Verb == "SIZE" { // clients look before they fetch, and then ask no more
		m.do(Refuse{T: &Transfer{
			Op: tallyman.OpGet, Began: m.stamp(), Verb: c.Verb, Name: m.asked(c.Arg), User: m.user, Path: a.Path, Size: -1, Announced: -1,
			Passive: true, Reason: a.Err.Reason, Err: a.Err.Text, Codes: []int{550},
		}})
	}
	if a.Err != nil {
		if !names && c.Verb != "SIZE" && (a.Err.Reason == tallyman.Policy || a.Err.Reason == tallyman.NotWritable) {
			m.refuseCommand(c, a.Err.Reason, a.Err.Text)
		}
		code := 550
		if c.Verb == "RNTO" || c.Verb == "MKD" && a.Err.Reason == tallyman.BadRequest {
			code = 553
		}
		m.reply(code, public(a.Err.Reason))
		m.goOn()
		m.rest()
		return
	}
	path, name, _ := command.Resolve(m.dir, c.Arg)
	i := &a.Info
	m.compared(c.Verb, name, &a)
	switch c.Verb {
	case "CWD":
		m.dir = path
		m.reply(250, "OK")
	case "SIZE", "AVBL":
		m.reply(213, strconv.FormatInt(i.Size, 10))
	case "MDTM":
		m.reply(213, string(command.AppendStamp(nil, i.Modified)))
	case "MFMT":
		stamp, rest, _ := strings.Cut(c.Arg, " ")
		m.reply(213, "Modify="+stamp+"; "+rest)
	case "MLST":
		m.reply(250, "Facts", string(m.facts.AppendFacts(nil, i, ""))+" "+path, "End")
	case "HASH":
		m.reply(213, fmt.Sprintf("SHA-256 0-%d %s %s", i.Size, a.Sum, c.Arg))
	case "XSHA256":
		m.reply(250, a.Sum)
	case "STAT":
		m.reply(213, append(append([]string{"Status of " + path}, a.List...), "End")...)
	case "MKD":
		m.reply(257, command.Quote(path)+" is made")
	case "RNFR":
		m.from = name
		m.reply(350, "RNTO, please")
	case "RNTO", "DELE", "RMD":
		m.reply(250, "OK")
	default:
		m.reply(200, "OK")
	}
	m.goOn()
	m.rest()
}
