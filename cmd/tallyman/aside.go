package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"tallyman"
)

// asideFile holds records that the ledger does not take, one JSON object a line, each with what the ledger said.
const asideFile = "aside.ndjson"

// setAside keeps a record that the ledger does not take. It returns when the record is on stable storage.
func (h *house) setAside(r tallyman.Record, why error) (string, error) {
	path := filepath.Join(h.state, asideFile)
	line, err := json.Marshal(struct {
		Why    string          `json:"why"`
		Record tallyman.Record `json:"record"`
	}{why.Error(), r})
	if err != nil {
		return path, fmt.Errorf("write a record as JSON: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return path, err
	}
	_, err = f.Write(append(line, '\n'))
	return path, errors.Join(err, f.Sync(), f.Close())
}
