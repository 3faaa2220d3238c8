package sqlstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"tallyman"
)

// packForm opens each pack, so that a later form can be told from this one.
const packForm = 1

var errPack = errors.New("no pack of evidence in a known form")

// likely is the evidence that closes a transfer, as far as the transfer itself tells it. Evidence is packed by how it differs.
func likely(t *tallyman.Transfer, agent tallyman.Agent) tallyman.Evidence {
	e := tallyman.Evidence{
		ID: tallyman.ID{Agent: agent}, Time: t.End, Seen: t.Seen, Began: t.Start, Kind: tallyman.KindClosed,
		Host: t.Host, Proto: t.Proto, User: t.User, Session: t.Login, Op: t.Op, Peer: t.Client, Self: t.Server, Proc: t.Proc,
		Name: t.Name, Path: t.Path, Size: t.Expected, Moved: t.Bytes, Expected: t.Expected,
		Details: t.Details, Digest: t.Digest, Reason: t.Judgement.Reason,
	}
	if t.End.IsZero() {
		e.Time = t.Start
	}
	if len(t.Judgement.For) > 0 {
		e.Witness = t.Judgement.For[0]
	}
	return e
}

// appendPack packs the evidence of t, newest first: the last one is most like the transfer. number is the row of the agent that
// gave it.
func appendPack(dst []byte, t *tallyman.Transfer, number int64, agent tallyman.Agent) []byte {
	dst = append(dst, packForm)
	dst = binary.AppendUvarint(dst, uint64(number))
	e := likely(t, agent)
	before := &e
	for i := range slices.Backward(t.Evidence) {
		dst = tallyman.AppendEvidence(dst, before, &t.Evidence[i])
		before = &t.Evidence[i]
	}
	return dst
}

// unpack gives t the evidence that appendPack packed for the same t.
func unpack(b []byte, t *tallyman.Transfer, agent func(number int64) tallyman.Agent) error {
	if len(b) == 0 || b[0] != packForm {
		return errPack
	}
	number, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return errPack
	}
	e := likely(t, agent(int64(number)))
	list, err := tallyman.DecodePack(b[1+n:], &e)
	if err != nil {
		return fmt.Errorf("unpack evidence of %s: %w", t.ID, err)
	}
	slices.Reverse(list)
	t.Evidence = list
	return nil
}
