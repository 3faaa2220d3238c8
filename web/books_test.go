package web

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// shelf is a keeper of a ledger that says what it was asked.
type shelf struct{ day time.Time }

func (*shelf) Status(context.Context) (any, error) { return map[string]int{"Transfers": 5}, nil }

func (s *shelf) Recount(_ context.Context, day time.Time) (any, error) {
	s.day = day
	return map[string]int{"Transfers": 3}, nil
}

func (*shelf) Backup(_ context.Context, path string) error {
	return os.WriteFile(path, []byte(strings.Repeat("copy", 1<<19)), 0o600)
}

// full is a disk without room for a copy.
type full struct{ shelf }

func (*full) Backup(context.Context, string) error { return errors.New("no space left on device") }

func TestLedgerIsLookedAtCountedAndCopiedThroughTheAPI(t *testing.T) {
	b := new(shelf)
	s := newServer(t, Config{}, Parts{Books: b})
	c := call(t, s, sock)
	if text := c.get("/api/v1/ledger", 200, nil).Body.String(); !strings.Contains(text, `"Transfers":5`) {
		t.Error(text)
	}
	c.get("/api/v1/ledger/recount?day=2026-11-20", 200, nil)
	if b.day != time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC) {
		t.Error(b.day)
	}
	c.get("/api/v1/ledger/recount?day=yesterday", 400, nil)
	if n := c.post("/api/v1/ledger/backup", "", 200, nil).Body.Len(); n != 4<<19 {
		t.Errorf("a copy of %d bytes", n)
	}
	if left, err := os.ReadDir(s.parts.State); err != nil || len(left) > 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	c = call(t, newServer(t, Config{}, Parts{Books: new(full)}), sock)
	c.post("/api/v1/ledger/backup", "", 500, nil)
}
