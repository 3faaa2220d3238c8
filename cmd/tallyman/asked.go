package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tallyman"
	"tallyman/client/api"
)

// asked answers the reading commands: a running server, or, where none runs, this process, which opens the ledger read-only behind the same API.
type asked struct {
	*api.Client
	close func()
}

func askSocket(path string) *asked {
	c := api.Dial(path)
	return &asked{c, c.Close}
}

// reach connects to the running server of the state folder.
func (p *program) reach(ctx context.Context) (*asked, error) {
	state, err := p.stateFolder()
	if err != nil {
		return nil, err
	}
	path := socketPath(state)
	if err := api.Answers(ctx, path); errors.Is(err, fs.ErrPermission) {
		return nil, &coded{exitUnreachable, fmt.Errorf("the socket %s may not be opened by this user (%w): run the command as root, or as the user that the server runs as", path, err)}
	} else if err != nil {
		return nil, &coded{exitUnreachable, fmt.Errorf("no server runs on the state folder %s (%w): start one with tallyman serve, or name another folder with --state", state, err)}
	}
	return askSocket(path), nil
}

// reachOrRead connects to the running server, or reads the ledger without one and says so.
func (p *program) reachOrRead(ctx context.Context) (*asked, error) {
	a, err := p.reach(ctx)
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return a, err
	}
	state, serr := p.stateFolder()
	if serr != nil {
		return nil, serr
	}
	file := filepath.Join(state, ledgerFile)
	if _, serr := os.Stat(file); errors.Is(serr, fs.ErrNotExist) {
		return nil, err
	}
	fmt.Fprintf(p.stderr, "tallyman: no server runs: reading the ledger in %s\n", state)
	return readAlone(ctx, state)
}

// page is one page of a list of transfers.
type page struct {
	Transfers []*tallyman.Transfer `json:"transfers"`
	Next      string               `json:"next"`
}
