package ftp

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/source/ftp/data"
	"tallyman/source/ftp/engine"
	"tallyman/source/ftp/record"
)

// session is one control connection. All of it but the mover, the port and the reader of lines runs on one goroutine.
type session struct {
	server   *Server
	control  *control
	rec      record.Session
	to       tallyman.Recorder
	implicit bool
	kick     <-chan struct{}
	said     chan said
	results  chan func() // of the one thing that runs beside: a transfer, or a store

	m       *engine.Machine
	tls     *tls.Config
	account Account
	over    bool

	port      *data.Port
	aim       netip.AddrPort
	strangers atomic.Int64
	open      engine.Open
	file      File
	upload    Upload
	list      []byte
	moved     atomic.Int64
	halt      context.CancelFunc
	tails     []*data.Conn // of downloads whose end is not proven
	later     []engine.Action
}

func (v *session) config() engine.Config {
	c, e := &v.server.cfg, engine.Defaults()
	e.Client, e.Server, e.TLS, e.Implicit, e.Active, e.Passive = v.rec.Client, v.rec.Server, c.TLS, v.implicit, c.Active, c.Passive
	e.LoginWithin, e.Idle = c.LoginWithin, c.Idle
	if c.Public != nil {
		e.Public = c.Public(v.rec.Client.Addr())
	}
	return e
}

// run serves the session until it ends, or ctx and then the transfer that runs.
func (v *session) run(ctx context.Context) {
	v.tls = v.server.tlsConfig()
	if v.implicit {
		if err := v.control.secure(ctx, v.tls, v.server.cfg.LoginWithin); err != nil {
			v.control.close()
			return
		}
		v.rec.Secure = true
	}
	work := context.WithoutCancel(ctx) // a transfer that runs may end by itself
	v.m = engine.New(v.config(), time.Now())
	go v.control.read(v.said)
	v.carryOut(work)
	v.control.goOn <- struct{}{}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stop, kick := ctx.Done(), v.kick
	for !v.over {
		if at := v.m.Deadline(); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(time.Until(at), 0))
		}
		v.m.Count(v.moved.Load())
		select {
		case s := <-v.said:
			v.hear(work, s)
			continue
		case do := <-v.results:
			do()
		case <-timer.C:
			v.m.Tick(time.Now())
		case <-stop:
			stop = nil
			v.m.Stop(time.Now())
		case <-kick:
			kick = nil
			v.m.Kick(time.Now(), tallyman.Shutdown)
		}
		v.carryOut(work)
	}
	v.release()
	v.unlisten()
	v.logout()
	v.control.close()
}

// logout gives the place of the login back.
func (v *session) logout() {
	if v.account.Close != nil {
		v.account.Close()
	}
	v.account = Account{}
}

// hear passes on what came on the control connection, and then lets more come.
func (v *session) hear(ctx context.Context, s said) {
	now := time.Now()
	switch {
	case s.err != nil:
		v.m.Lost(now, s.reset, v.state())
	case s.long:
		v.m.Overlong(now)
	default:
		v.server.counts.commands.Add(1)
		var seen engine.State
		if v.m.Unproven() {
			seen = v.state()
		}
		v.m.Line(now, s.line, seen)
	}
	v.carryOut(ctx)
	if s.err == nil && !v.over {
		v.control.goOn <- struct{}{}
	}
}

// state looks at the connections.
func (v *session) state() engine.State {
	seen := v.control.look()
	s := engine.State{Unacked: seen.Unacked, Alive: !seen.Reset}
	for _, c := range v.tails {
		d := data.Watch(c.TCP)
		s.DataLeft += d.Unacked
		s.DataReset = s.DataReset || d.Reset
	}
	return s
}

// carryOut does what the machine orders. What the client does not wait for comes last: what is
// told of transfers, in its order, and what is only given back.
func (v *session) carryOut(ctx context.Context) {
	for a, ok := v.m.Next(); ok; a, ok = v.m.Next() {
		v.perform(ctx, a)
	}
	for _, a := range v.later {
		v.tell(a)
	}
	clear(v.later)
	v.later = v.later[:0]
}

func (v *session) perform(ctx context.Context, a engine.Action) {
	now := time.Now()
	switch a := a.(type) {
	case engine.Reply:
		if err := v.control.write(a.Text); err != nil {
			v.m.Lost(now, true, engine.State{})
		}
	case engine.Secure:
		v.secure(ctx)
	case engine.Login:
		v.login(ctx, a)
	case engine.Listen:
		v.listen(ctx)
	case engine.Aim:
		v.unlisten()
		v.aim = a.At
	case engine.Unlisten:
		v.unlisten()
	case engine.Open:
		v.prepare(now, a)
	case engine.Move:
		v.move(ctx, a)
	case engine.Halt:
		if v.halt != nil {
			v.halt()
		}
	case engine.Store:
		v.store(ctx, a)
	case engine.Drop:
		v.drop()
	case engine.Do:
		v.names(ctx, a)
	case engine.Look:
		v.m.State(now, v.state())
	case engine.Hangup:
		v.over = true
	case engine.Begin:
		began := *a.T // it may have ended when it is told
		v.later = append(v.later, engine.Begin{T: &began})
	case engine.Release:
		v.later = append(v.later, released{of: v.tails})
		v.tails = nil
	case engine.Progress, engine.Finish:
		v.later = append(v.later, a)
	default:
		v.tell(a)
	}
}

// released are connections that nobody asks for any more.
type released struct {
	engine.Release
	of []*data.Conn
}

// tell records, and closes what was released.
func (v *session) tell(a engine.Action) {
	switch a := a.(type) {
	case released:
		for _, c := range a.of {
			c.Close()
		}
	case engine.Begin:
		v.to.Record(v.rec.Begin(a.T)...)
	case engine.Progress:
		v.to.Record(v.rec.Progress(a.T))
	case engine.Finish:
		v.to.Record(v.rec.Finish(a.T))
	case engine.Refuse:
		v.server.counts.refused.Add(1)
		v.to.Record(v.rec.Refuse(a.T)...)
	case engine.Event:
		v.event(&a)
	case engine.Named:
		v.to.Record(v.rec.Named(&a, v.account.Name))
	}
}

func (v *session) event(e *engine.Event) {
	switch e.Kind {
	case tallyman.KindLogin:
		v.server.counts.logins.Add(1)
	case tallyman.KindLoginFailed:
		v.server.counts.wrong.Add(1)
	case tallyman.KindCommandRefused:
		v.server.counts.refused.Add(1)
	default: // counted nowhere else
	}
	v.to.Record(v.rec.Event(e))
}

// refuse records that something other than a transfer was refused.
func (v *session) refuse(reason tallyman.Reason, why string) {
	v.to.Record(v.rec.Event(&engine.Event{Kind: tallyman.KindCommandRefused, Reason: reason, User: v.account.Name, Text: why}))
}

func (v *session) secure(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-v.kick:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := v.control.secure(ctx, v.tls, v.server.cfg.LoginWithin); err != nil {
		v.m.Lost(time.Now(), true, engine.State{})
		return
	}
	v.rec.Secure = true
	v.logout()
	v.m.Secured(time.Now())
}

// login asks beside, because the answer may be held back: who has tried before waits.
func (v *session) login(ctx context.Context, a engine.Login) {
	client, secure := v.rec.Client.Addr(), v.rec.Secure
	ctx, v.halt = context.WithCancel(ctx)
	go func() {
		account, err := v.server.accounts.Login(ctx, a.User, a.Password, client, secure)
		v.results <- func() {
			v.halt()
			v.halt = nil
			if err != nil {
				r := refusalOf(err)
				if !tallyman.Legal(tallyman.Refused, r.Reason) || r.Reason == tallyman.IOError {
					r = &Refusal{Reason: tallyman.LoginFailed, Text: r.Text}
				}
				v.m.LoggedIn(time.Now(), "", r)
				return
			}
			v.account = account
			v.m.LoggedIn(time.Now(), account.Name, nil)
		}
	}()
}

// names does what concerns names: at once, but for a digest, which may take minutes and is made beside.
func (v *session) names(ctx context.Context, a engine.Do) {
	if a.Verb != "HASH" && a.Verb != "XSHA256" {
		v.m.Did(time.Now(), v.work(a))
		return
	}
	files := v.account.Files
	out := engine.Answer{Path: files.Path(a.Name)}
	ctx, v.halt = context.WithCancel(ctx)
	go func() {
		var err error
		if out.Info.Size, out.Sum, err = sum(ctx, files, a.Name); err != nil {
			out.Err = refusalOf(err)
		}
		v.results <- func() {
			v.halt()
			v.halt = nil
			v.m.Did(time.Now(), out)
		}
	}()
}

// strangersTold is how many strangers at one data port are recorded one by one; all are counted in the details of the transfer.
const strangersTold = 3

func (v *session) listen(ctx context.Context) {
	v.unlisten()
	v.strangers.Store(0)
	rec, to, user := v.rec, v.to, v.account.Name
	p, err := data.Listen(ctx, v.rec.Server.Addr(), v.rec.Client.Addr(), v.server.ports, func(who netip.AddrPort) {
		v.server.counts.strangers.Add(1)
		if v.strangers.Add(1) <= strangersTold {
			to.Record(rec.Event(&engine.Event{
				Kind: tallyman.KindCommandRefused, Reason: tallyman.DataPeerMismatch, User: user, Third: who,
				Text: who.String() + " connected to the data port of " + rec.Client.Addr().String() + " and was turned away",
			}))
		}
	})
	if err != nil {
		v.m.Listening(time.Now(), 0, err)
		return
	}
	v.port = p
	v.m.Listening(time.Now(), p.Number(), nil)
}

func (v *session) unlisten() {
	if v.port != nil {
		v.port.Close()
		v.port = nil
	}
}

func (v *session) release() {
	for _, c := range v.tails {
		c.Close()
	}
	v.tails = nil
}

// reuse says whether data connections must resume the TLS session of the control connection.
func (v *session) reuse() bool {
	c := &v.server.cfg
	return c.Reuse && !v.account.NoReuse && (c.Exempt == nil || !c.Exempt(v.rec.Client.Addr()))
}

// move begins to move what was opened.
func (v *session) move(ctx context.Context, a engine.Move) {
	v.server.counts.transfers.Add(1)
	cfg := &v.server.cfg
	m := &mover{
		op: v.open.Op, ascii: v.open.ASCII && v.open.Op != tallyman.OpList, file: v.file, upload: v.upload, list: v.list, offset: max(v.open.Offset, 0),
		port: v.port, aim: v.aim, local: v.rec.Server.Addr(), reuse: v.reuse(), hash: cfg.Hash,
		up: v.account.Up, down: v.account.Down, wait: cfg.DataWait, stall: cfg.Stall, pieces: &v.server.pieces, moved: &v.moved, control: v.control,
	}
	if v.upload != nil {
		m.offset = v.upload.Size()
	}
	if a.Private {
		m.private = v.tls
	}
	if m.little() {
		v.hasMoved(m, m.run(ctx))
		return
	}
	ctx, v.halt = context.WithCancel(ctx)
	go func() {
		e := m.run(ctx)
		v.results <- func() {
			v.halt()
			v.halt = nil
			v.hasMoved(m, e)
		}
	}()
}

func (v *session) hasMoved(m *mover, e engine.Ending) {
	v.unlisten()
	e.Strangers = int(v.strangers.Load())
	if m.conn != nil {
		v.tails = append(v.tails, m.conn)
	}
	v.m.Count(v.moved.Load())
	v.m.Moved(time.Now(), e)
}

func (v *session) store(ctx context.Context, a engine.Store) {
	u, t, rec := v.upload, *a.T, v.rec
	v.upload = nil
	ctx, v.halt = context.WithCancel(ctx)
	go func() {
		s := store(ctx, v.to, &rec, v.control, u, t)
		v.results <- func() {
			v.halt()
			v.halt = nil
			v.m.Stored(time.Now(), s)
		}
	}()
}

// drop lets go what was opened.
func (v *session) drop() {
	if v.upload != nil {
		v.upload.Abort()
		v.upload = nil
	}
	if v.file != nil {
		_ = v.file.Close() // it was only read
		v.file = nil
	}
	v.list = nil
}
