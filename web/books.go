package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Books is what the keeper of the ledger can do beside answering questions. One process has the ledger open: the command line asks here.
type Books interface {
	// Status says how large the ledger is, as JSON.
	Status(ctx context.Context) (any, error)
	// Recount counts the records of a UTC day and compares with the roll-ups, as JSON.
	Recount(ctx context.Context, day time.Time) (any, error)
	// Backup copies the ledger as of one moment into a new file.
	Backup(ctx context.Context, path string) error
}

func (s *Server) getLedger(w http.ResponseWriter, r *http.Request) error {
	st, err := s.parts.Books.Status(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}

func (s *Server) getRecount(w http.ResponseWriter, r *http.Request) error {
	text := r.URL.Query().Get("day")
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return problem(http.StatusBadRequest, "%q is no day: write it as 2026-11-20", text)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a day of millions takes its time; the caller may go
	found, err := s.parts.Books.Recount(r.Context(), day)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, found)
	return nil
}

// postBackup answers with a copy of the whole ledger as of one moment. The caller writes it where it likes, with its own rights.
func (s *Server) postBackup(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	dir, err := os.MkdirTemp(s.parts.State, "backup-")
	if err != nil {
		return err
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			s.log.Error("copy of the ledger not removed", "folder", dir, "err", err)
		}
	}()
	path := filepath.Join(dir, "ledger.db")
	if err := s.parts.Books.Backup(r.Context(), path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is only read
	w.Header().Set("Content-Type", "application/vnd.sqlite3")
	for {
		_ = control.SetWriteDeadline(time.Now().Add(s.patience))
		_, err := io.CopyN(w, f, 1<<20)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
