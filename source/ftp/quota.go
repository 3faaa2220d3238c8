package ftp

import (
	"math"

	"tallyman"
	"tallyman/user"
)

// Quota is what an account may let lie below its root. A nil Quota has no bound.
type Quota struct {
	Account *user.Account
	Meter   func() (*user.Meter, error)
}

// share is what one upload has taken of a quota. A nil share has no bound.
type share struct {
	of    *user.Account
	meter *user.Meter
	bytes int64
	done  bool
}

// begin takes one file of the quota.
func (q *Quota) begin() (*share, error) {
	if q == nil {
		return nil, nil //nolint:nilnil // a nil share has no bound
	}
	m, err := q.Meter()
	if err != nil {
		return nil, err
	}
	if !m.Take(q.Account, 0, 1) {
		return nil, &Refusal{Reason: tallyman.Quota, Text: "the quota of files of " + q.Account.Name + " is used up"}
	}
	return &share{of: q.Account, meter: m}, nil
}

// left is how many bytes may be added.
func (q *Quota) left() (int64, error) {
	if q == nil {
		return math.MaxInt64, nil
	}
	m, err := q.Meter()
	if err != nil {
		return 0, err
	}
	return m.Left(q.Account), nil
}

// gone says that a file was removed.
func (q *Quota) gone(size int64) {
	if q == nil {
		return
	}
	if m, err := q.Meter(); err == nil {
		m.Settle(0, size, 1)
	}
}

// grow takes bytes for a file that will be so large.
func (s *share) grow(size int64) error {
	if s == nil || size <= s.bytes {
		return nil
	}
	if !s.meter.Take(s.of, size-s.bytes, 0) {
		return &Refusal{Reason: tallyman.Quota, Text: "the quota of bytes of " + s.of.Name + " is used up"}
	}
	s.bytes = size
	return nil
}

// giveBack is for an upload that left nothing. Behind settle it does nothing.
func (s *share) giveBack() {
	if s == nil || s.done {
		return
	}
	s.done = true
	s.meter.Give(s.bytes, 1)
}

// settle is for an upload that stands there; gone is the size of the file that went for it, -1 if none did.
func (s *share) settle(gone int64) {
	if s == nil || s.done {
		return
	}
	s.done = true
	if gone >= 0 {
		s.meter.Settle(s.bytes, gone, 1)
		return
	}
	s.meter.Settle(s.bytes, 0, 0)
}
