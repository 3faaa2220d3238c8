package user

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tallyman"
)

// Login is an account that somebody has entered. Close leaves it.
type Login struct {
	*Account
	book  *Book
	limit *limits
	once  sync.Once
}

// enter lets somebody in who has proven who he is, if the account allows it here and now.
func (b *Book) enter(a *Account, from netip.Addr) (*Login, error) {
	if a.Allow.Key() != "" {
		if ok, why := a.Allow.Allow(from); !ok {
			return nil, b.refuse(a, from, tallyman.NotAllowed, why)
		}
	}
	if !a.Until.IsZero() && time.Now().After(a.Until) {
		return nil, b.refuse(a, from, tallyman.LoginFailed, "the account ended at "+a.Until.Format(time.RFC3339)+": change until")
	}
	b.mu.Lock()
	if a.Logins > 0 && b.in[a.Name] >= a.Logins {
		b.mu.Unlock()
		return nil, &Refusal{tallyman.RateLimited, fmt.Sprintf("%s is logged in %d times, and logins allows no more", a.Name, a.Logins)}
	}
	b.in[a.Name]++
	l := b.limits[a.Name]
	if l == nil {
		l = &limits{up: rate.NewLimiter(rate.Inf, 0), down: rate.NewLimiter(rate.Inf, 0)}
		l.set(a)
		b.limits[a.Name] = l
	}
	b.mu.Unlock()
	b.guard.Succeeded(from, a.Name)
	return &Login{Account: a, book: b, limit: l}, nil
}

// Unbounded is a login of an account that may do everything, outside of any book: for tests of those who serve.
func Unbounded(name string) *Login {
	no := &limits{up: rate.NewLimiter(rate.Inf, 0), down: rate.NewLimiter(rate.Inf, 0)}
	return &Login{Account: &Account{Name: name, Rights: All}, book: &Book{in: map[string]int{}, meters: map[string]*Meter{}}, limit: no}
}

// refuse is for who knew the password and may not enter all the same: he counts as one who failed, so that he learns nothing by trying.
func (b *Book) refuse(a *Account, from netip.Addr, reason tallyman.Reason, why string) error {
	_ = b.Failed(a.Name, from, why)
	return &Refusal{reason, a.Name + ": " + why}
}

// Close leaves. It may be called twice.
func (l *Login) Close() {
	l.once.Do(func() {
		l.book.mu.Lock()
		defer l.book.mu.Unlock()
		if l.book.in[l.Name]--; l.book.in[l.Name] <= 0 {
			delete(l.book.in, l.Name)
		}
	})
}

// Logins returns how many are logged in to each account.
func (b *Book) Logins() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.in)
}

// burst is what may pass at once, beyond the rate: no less than a packet of any protocol.
const burst = 1 << 20

func (l *limits) set(a *Account) {
	for _, one := range []struct {
		l *rate.Limiter
		n int64
	}{{l.up, a.Up}, {l.down, a.Down}} {
		if one.n <= 0 {
			one.l.SetLimit(rate.Inf)
			continue
		}
		one.l.SetBurst(int(max(min(one.n, burst), burst/4)))
		one.l.SetLimit(rate.Limit(one.n))
	}
}

// Up waits until the account may send us so many bytes more. The error is that of ctx.
func (l *Login) Up(ctx context.Context, bytes int) error { return wait(ctx, l.limit.up, bytes) }

// Down waits until the account may be sent so many bytes more.
func (l *Login) Down(ctx context.Context, bytes int) error { return wait(ctx, l.limit.down, bytes) }

func wait(ctx context.Context, l *rate.Limiter, bytes int) error {
	if l.Limit() == rate.Inf {
		return nil
	}
	for bytes > 0 {
		n := min(bytes, l.Burst())
		if err := l.WaitN(ctx, n); err != nil {
			return err
		}
		bytes -= n
	}
	return nil
}

// Meter counts what lies below one root, for the quotas of the accounts that share it. It is measured when it is first asked for and again every few
// minutes, because others may add and remove; between, what uploads take and give back is counted exactly.
type Meter struct {
	mu           sync.Mutex
	bytes, files int64
	pending      int64 // bytes of uploads that run
	measured     time.Time
}

// remeasure is how old a measurement may be.
const remeasure = 5 * time.Minute

// Meter returns the meter of the root. measure counts the bytes and files below it.
func (l *Login) Meter(root string, measure func() (bytes, files int64, err error)) (*Meter, error) {
	l.book.mu.Lock()
	m := l.book.meters[root]
	if m == nil {
		m = &Meter{}
		l.book.meters[root] = m
	}
	l.book.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); m.measured.IsZero() || now.Sub(m.measured) > remeasure {
		bytes, files, err := measure()
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", tallyman.Escape(root), err)
		}
		m.bytes, m.files, m.measured = bytes, files, now
	}
	return m, nil
}

// Take takes room for an upload that grows by so many bytes, or begins with one file. It is false, and nothing is taken, when the quota of the
// account does not allow it.
func (m *Meter) Take(a *Account, bytes, files int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.QuotaBytes > 0 && m.bytes+m.pending+bytes > a.QuotaBytes || a.QuotaFiles > 0 && files > 0 && m.files+files > a.QuotaFiles {
		return false
	}
	m.pending += bytes
	m.files += files
	return true
}

// Left is how many bytes the account may add by now: of any size without a quota of bytes, none when the quota of files is used up.
func (m *Meter) Left(a *Account) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case a.QuotaFiles > 0 && m.files >= a.QuotaFiles:
		return 0
	case a.QuotaBytes > 0:
		return max(a.QuotaBytes-m.bytes-m.pending, 0)
	}
	return math.MaxInt64
}

// Give gives back what an upload that was broken off had taken.
func (m *Meter) Give(bytes, files int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending -= bytes
	m.files -= files
}

// Settle makes what an upload had taken part of what lies there; gone is what it replaced or what was deleted.
func (m *Meter) Settle(bytes, goneBytes, goneFiles int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending -= bytes
	m.bytes += bytes - goneBytes
	m.files -= goneFiles
}
