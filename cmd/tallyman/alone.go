package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"tallyman/query"
	"tallyman/web"
	"tallyman/web/live"
)

// readAlone serves the API of a ledger without a server, to this process alone, so that there is one way to ask.
func readAlone(ctx context.Context, state string) (*asked, error) {
	l, err := openLedger(ctx, state, true)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tallyman-read-")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a folder for the socket: %w", err), l.Close())
	}
	socket := filepath.Join(dir, "s")
	s, err := web.New(web.Config{}, web.Parts{
		Name: "localhost", Version: version(), State: dir, Socket: socket, Ledger: l, Feed: live.NewFeed(), Orders: nobody{}, Books: books{l},
		Log: slog.New(slog.DiscardHandler), Parse: query.Parse, Match: query.Match, System: func() web.System { return web.System{} },
		Lanes: lanes(state, l, slog.New(slog.DiscardHandler)),
	})
	if err == nil {
		err = s.Listen(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.RemoveAll(dir))
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(running) // it ends when this command does; what went wrong before is in its answers
	}()
	a := askSocket(socket)
	return &asked{a.Client, func() {
		a.close()
		stop()
		<-ended
		_ = l.Close() // read-only
		_ = os.RemoveAll(dir)
	}}, nil
}

// nobody takes no orders: there is no server.
type nobody struct{}

var errNobody = errors.New("no server runs")

func (nobody) Stop(context.Context) error               { return errNobody }
func (nobody) Reload(context.Context) ([]string, error) { return nil, errNobody }
