package tftp

import (
	"testing"

	"tallyman"
)

func TestBlockInTwoVersionsHasNoDigest(t *testing.T) {
	for _, first := range []string{"abc", "xyz"} {
		k := newTalk(t).packet(client, server, wrq("a", "octet")).packet(tid, client, ack(0))
		k.packet(client, tid, data(1, first)).packet(client, tid, data(1, "abc")).packet(tid, client, ack(1))
		k.ends("closed final-ack 3")
		k.details(`"duplicates":1`)
		if twice := first == "abc"; (k.last().Digest != "") != twice {
			t.Errorf("%s, then abc: digest %q", first, k.last().Digest)
		} else if !twice {
			k.details(`"ambiguous_blocks":1`)
		}
	}
	// What comes behind its acknowledgement changes nothing: the receiver has the block.
	k := newTalk(t).packet(client, server, wrq("a", "octet")).packet(tid, client, ack(0)).packet(client, tid, data(1, full(512))).packet(tid, client, ack(1))
	k.packet(client, tid, data(1, full(511)+"y")).packet(client, tid, data(2, "abc")).packet(tid, client, ack(2))
	k.ends("closed final-ack 515")
	if k.last().Digest != sha(full(512)+"abc") {
		t.Errorf("digest %q", k.last().Digest)
	}
}

func TestBlockBeforeItsTurnInTwoVersionsHasNoDigest(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet", "windowsize", "4", "blksize", "8")).packet(tid, client, oack("windowsize", "4", "blksize", "8")).packet(client, tid, ack(0))
	k.packet(tid, client, data(2, "22222222")).packet(tid, client, data(2, "zzzzzzzz")).packet(tid, client, data(1, "11111111")).packet(tid, client, data(3, "3")).packet(client, tid, ack(3))
	k.ends("closed final-ack 17")
	if k.last().Digest != "" {
		t.Errorf("digest %q", k.last().Digest)
	}
	k.details(`"ambiguous_blocks":1`)
}

// A short block ends a transfer: whoever sends one that does not reach the server, and then a full one, would have the witness look away.
func TestBlockInTwoLengthsEndsNothing(t *testing.T) {
	for _, blocks := range [][2]string{{"abc", full(512)}, {full(512), "abc"}} {
		k := newTalk(t).packet(client, server, wrq("a", "octet")).packet(tid, client, ack(0))
		k.packet(client, tid, data(1, blocks[0])).packet(client, tid, data(1, blocks[1])).packet(tid, client, ack(1))
		k.packet(client, tid, data(2, "the rest")).packet(tid, client, ack(2))
		e := k.last()
		if e.Kind != tallyman.KindClosed || e.Reason != tallyman.InGap || e.Digest != "" {
			t.Errorf("%d and %d bytes: %+v", len(blocks[0]), len(blocks[1]), e)
		}
	}
}

func TestOptionsInTwoVersionsProveNothing(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "16")).packet(tid, client, oack("blksize", "16")).packet(tid, client, oack("blksize", "8"))
	k.packet(client, tid, ack(0)).packet(tid, client, data(1, "12345678")).packet(client, tid, ack(1))
	k.ends("closed gap 8")
	k = newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "16")).packet(tid, client, oack("blksize", "16")).packet(tid, client, oack("blksize", "16"))
	k.packet(client, tid, ack(0)).packet(tid, client, data(1, "12345678")).packet(client, tid, ack(1))
	k.ends("closed final-ack 8")
}
