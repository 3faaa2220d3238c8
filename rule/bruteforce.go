package rule

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tallyman"
)

// bruteForce finds clients that fail to log in too often. Each witness is counted apart: packets and a log tell the same failure. A login that succeeds
// takes back the failures of the same user name alone: who has one account cannot use it to hide that he tries others.
type bruteForce struct {
	cfg   Threshold
	quiet time.Duration
	*recent[attempts, tries]
}

// attempts is what failures are counted by.
type attempts struct {
	client        netip.Addr
	host, witness string
}

// tries holds the newest failures, at most one more than are allowed, and when the last one of a burst that was told was seen.
type tries struct {
	list []try
	told time.Time
}

type try struct {
	at   time.Time
	id   tallyman.UUID
	user string
}

func newBruteForce(cfg Config) detector {
	return &bruteForce{cfg.BruteForce, cfg.Quiet, newRecent[attempts, tries](cfg.Keys)}
}

// toldBefore marks a failed login that another line of the same log has told already (join).
const toldBefore = "told before:"

func (b *bruteForce) take(r tallyman.Record) (found, bool) {
	e, ok := r.(*tallyman.Event)
	if !ok || !e.Client.IsValid() {
		return found{}, false
	}
	k := attempts{e.Client.Addr().Unmap(), e.Host, e.Witness}
	switch e.Kind {
	case tallyman.KindLogin.String():
		if t, ok := b.get(k); ok && e.User != "" {
			t.list = slices.DeleteFunc(t.list, func(one try) bool { return one.user == e.User && !one.at.After(e.At) })
		}
		return found{}, false
	case tallyman.KindLoginFailed.String():
		if strings.HasPrefix(e.Text, toldBefore) {
			return found{}, false
		}
		return b.failed(k, e)
	}
	return found{}, false
}

func (b *bruteForce) failed(k attempts, e *tallyman.Event) (found, bool) {
	t := b.open(k)
	if !t.told.IsZero() && e.At.Sub(t.told) < b.quiet {
		if e.At.After(t.told) {
			t.told = e.At
		}
		return found{}, false
	}
	t.told = time.Time{}
	t.list = append(t.list, try{e.At, e.ID, e.User})
	newest := slices.MaxFunc(t.list, func(a, b try) int { return a.at.Compare(b.at) }).at
	t.list = slices.DeleteFunc(t.list, func(one try) bool { return newest.Sub(one.at) > b.cfg.Within })
	if len(t.list) <= b.cfg.Over {
		return found{}, false
	}
	oldest := slices.MinFunc(t.list, func(a, b try) int { return a.at.Compare(b.at) }).at
	f := found{at: e.At, key: keyOf(k.client, k.host)}
	for _, one := range t.list {
		f.about = append(f.about, one.id)
	}
	f.why = fmt.Sprintf("%d failed logins by %s within %s, %s: more than %d within %s are too many",
		len(t.list), k.client, newest.Sub(oldest).Round(time.Millisecond), names(t.list), b.cfg.Over, b.cfg.Within)
	t.list, t.told = nil, e.At
	return f, true
}

// recall implements detector: the failures themselves are recalled, and say more than the finding about them.
func (b *bruteForce) recall(*tallyman.Finding) {}

// names says which users were tried.
func names(list []try) string {
	var users []string
	for _, one := range list {
		if one.user != "" && !slices.Contains(users, tallyman.Escape(one.user)) {
			users = append(users, tallyman.Escape(one.user))
		}
	}
	switch len(users) {
	case 0:
		return "with names that are not known"
	case 1:
		return "as " + users[0]
	default:
		return "as " + strings.Join(users, ", ")
	}
}
