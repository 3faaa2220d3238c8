package tftp

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"time"

	"tallyman"
)

// Progress is told how many payload bytes have moved, and how many there are in all, -1 if that is not known. It is called often and
// must not block.
type Progress func(done, total int64)

// machine is a getter or a putter.
type machine interface {
	begin(now time.Time)
	receive(now time.Time, p packet)
	tick(now time.Time)
	common() *session
	payload() int64 // bytes that have moved
}

// Get fetches a file and writes it to w, which it does not close. What was written before an error is no whole file. The error is a
// *Failure unless the request itself is wrong. Cancelling ctx tells the server and ends the transfer.
func Get(ctx context.Context, r Request, w io.Writer, progress Progress) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, fmt.Errorf("get: %w", err)
	}
	r = r.filled()
	in := &content{sum: sha256.New(), w: w}
	var text *fromNetascii
	var to io.Writer = in
	if r.Mode == Netascii {
		text = &fromNetascii{to: in}
		to = text
	}
	result := attempts(ctx, r, progress, -1, func(r Request) machine { return newGetter(r, to) })
	if text != nil && result.Verdict == tallyman.Complete {
		if err := text.end(); err != nil {
			result.Verdict, result.Reason, result.Why = tallyman.Failed, tallyman.IOError, "store the content: "+err.Error()
		}
	}
	result.judge(result.Granted.Size)
	return in.close(result, "get", r, "from")
}

// Put stores what rd gives under the name of the request. Size is announced to the server; below 0 nothing is, as for a pipe. A rd that
// blocks delays the end by ctx.
func Put(ctx context.Context, r Request, rd io.Reader, size int64, progress Progress) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, fmt.Errorf("put: %w", err)
	}
	r = r.filled()
	in := &content{sum: sha256.New(), r: rd}
	var from io.Reader = in
	if r.Mode == Netascii {
		from, size = &toNetascii{from: bufio.NewReader(in)}, -1
	}
	result := attempts(ctx, r, progress, size, func(r Request) machine { return newPutter(r, from, size) })
	result.judge(size)
	return in.close(result, "put", r, "to")
}

// content counts and hashes what passes between the caller and the wire.
type content struct {
	sum   hash.Hash
	bytes int64
	w     io.Writer
	r     io.Reader
}

func (c *content) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.sum.Write(p[:n])
	c.bytes += int64(n)
	return n, err
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.bytes += int64(n)
	return n, err
}

func (c *content) close(r Result, verb string, q Request, way string) (Result, error) {
	r.Bytes = c.bytes
	if r.Verdict == tallyman.Complete {
		r.Digest = tallyman.Digest("sha256:" + hex.EncodeToString(c.sum.Sum(nil)))
		return r, nil
	}
	act := fmt.Sprintf("%s %s %s %s", verb, tallyman.Escape(q.Name), way, tallyman.Escape(net.JoinHostPort(q.Host, number(int64(q.Port)))))
	return r, &Failure{act, r.Verdict, r.Reason, r.Why}
}

// attempts tries the addresses of the host until one answers, and asks again without options if they are refused.
func attempts(ctx context.Context, r Request, progress Progress, size int64, machineFor func(Request) machine) Result {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", r.Host)
	if err != nil {
		return unreached(ctx, "find the address of the host: "+err.Error())
	}
	var result Result
	for _, ip := range addrs {
		to := netip.AddrPortFrom(ip.Unmap(), r.Port)
		m := machineFor(r)
		result = run(ctx, m, to, progress, size)
		if e := m.common().ended; e.plainer && !r.Plain {
			r.Plain = true
			result = run(ctx, machineFor(r), to, progress, size)
			result.Plain = true
		}
		if m.common().answered || result.Reason != tallyman.ServerGone {
			break
		}
	}
	return result
}

// unreached is the result of a transfer that never saw an address.
func unreached(ctx context.Context, why string) Result {
	r := Result{Verdict: tallyman.Failed, Reason: tallyman.ServerGone, Why: why, Granted: Granted{Size: -1}}
	if ctx.Err() != nil {
		r.Verdict, r.Reason = tallyman.Aborted, tallyman.ClientAbort
	}
	return r
}

// run plays one machine on a socket of its own.
func run(ctx context.Context, m machine, to netip.AddrPort, progress Progress, size int64) Result {
	s := m.common()
	started := time.Now()
	wire, err := dial(to, s.request)
	if err != nil {
		s.finish(end{tallyman.Failed, tallyman.ServerGone, err.Error(), false})
		return result(m, nil, to, 0)
	}
	defer wire.close()
	release := context.AfterFunc(ctx, wire.cancel)
	defer release()

	m.begin(started)
	for s.ended == nil && ctx.Err() == nil {
		if err := wire.flush(s); err != nil {
			s.finish(end{tallyman.Failed, tallyman.ServerGone, err.Error(), false})
			break
		}
		p, got, err := wire.receive(s.until)
		switch now := time.Now(); {
		case err != nil && !s.answered:
			s.finish(end{tallyman.Failed, tallyman.ServerGone, err.Error(), false})
		case got:
			m.receive(now, p)
			if progress != nil {
				if s.granted.Size >= 0 {
					size = s.granted.Size
				}
				progress(m.payload(), size)
			}
		default:
			m.tick(now)
		}
	}
	if ctx.Err() != nil {
		s.stop(end{tallyman.Aborted, tallyman.ClientAbort, "stopped: " + context.Cause(ctx).Error(), false}, errUndefined, "stopped by the client")
	}
	took := time.Since(started)
	_ = wire.flush(s)
	wire.dally(m)
	return result(m, wire, to, took)
}

func result(m machine, wire *wire, to netip.AddrPort, took time.Duration) Result {
	s := m.common()
	r := Result{
		Verdict: s.ended.verdict, Reason: s.ended.reason, Why: s.ended.text, Wire: m.payload(), Took: took, Server: to, Granted: s.granted,
		Retransmits: s.retransmits, Duplicates: s.duplicates,
	}
	if wire != nil {
		r.Self, r.Strangers = wire.self(), wire.strangers
		if wire.peer.Port() != 0 {
			r.Server = wire.peer
		}
	}
	return r
}
