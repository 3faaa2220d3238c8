package spool

import (
	"errors"

	"tallyman"
	"tallyman/spool/segment"
)

const agentFile = "agent"

// identity is what the folder keeps of itself beside the entries.
type identity struct {
	Agent tallyman.Agent `json:"agent"`
	Epoch uint32         `json:"epoch"`
	First uint64         `json:"first"` // the first place of that epoch
}

// NewEpoch begins the next epoch: the next entry has a higher Epoch and Seq 1. It is called when what the readers know and what the spool
// holds no longer belong together, as after a restored backup. All earlier entries are synced first and stay readable. The reason is logged.
func (s *Spool) NewEpoch(why string) error {
	return s.turnEpoch(why, 0, 1)
}

// turnEpoch begins an epoch above both the spool's own and the one given. First is 1, or 2 when entries are known to be lost: then
// place 1 is a hole that every reader meets.
func (s *Spool) turnEpoch(why string, above uint32, first uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		s.suffer(err)
		return err
	}
	next := max(s.Epoch(), above)
	if next >= segment.MaxEpoch {
		return errors.New("all epochs are used up: move the folder away and start with a new one")
	}
	next++
	if err := s.disk.Save(agentFile, identity{s.agent, next, first}); err != nil {
		s.suffer(err)
		return err
	}
	s.mu.Lock()
	s.swap() // what was appended in the meantime keeps the epoch that it was told
	s.epoch, s.last, s.seed = next, first-1, segment.Seed(s.agent, next)
	s.mu.Unlock()
	s.cfg.Log.Warn("a new epoch begins", "epoch", next, "why", why)
	if err := s.drain(); err != nil {
		s.suffer(err)
	}
	return nil
}
