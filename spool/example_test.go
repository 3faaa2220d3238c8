package spool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tallyman/spool"
)

func Example() {
	dir, _ := os.MkdirTemp("", "spool")
	defer os.RemoveAll(dir)
	s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, "spool")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	ctx := context.Background()

	// A source: what is only recorded, and what a promise hangs on.
	_, _ = s.Append([]byte("request"), []byte("opened"))
	if _, err := s.Commit(ctx, []byte("closed")); err != nil {
		fmt.Println("nothing may be acknowledged:", err)
	}

	// A consumer: it goes on behind its own mark, and says when it needs an entry no more.
	r, err := s.Reader("join")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	batch, err := r.Next(ctx, 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range batch {
		if e.Lost > 0 {
			fmt.Println("a gap of", e.Lost)
			continue
		}
		fmt.Println(e.ID.Epoch, e.ID.Seq, string(e.Payload))
	}
	_ = r.Commit(batch[len(batch)-1].ID)
	// Output:
	// 1 1 request
	// 1 2 opened
	// 1 3 closed
}
