package digest

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"math/rand/v2"
	"testing"
)

func TestManyContentsHaveTheirOwnDigest(t *testing.T) {
	p := NewPool()
	go p.Run()
	defer p.Close()
	r := rand.New(rand.NewPCG(1, 2))
	const contents = 3 * buffers // more than there are buffers
	var got, want [contents]hash.Hash
	for i := range got {
		got[i], want[i] = p.New(), sha256.New()
	}
	for range 4000 {
		i := r.IntN(contents)
		b := make([]byte, r.IntN(40<<10))
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		got[i].Write(b)
		want[i].Write(b)
	}
	for i := range got {
		if i%3 == 0 {
			Release(got[i])
			continue
		}
		if !bytes.Equal(got[i].Sum(nil), want[i].Sum(nil)) {
			t.Fatalf("content %d has another digest", i)
		}
		if !bytes.Equal(got[i].Sum(nil), want[i].Sum(nil)) {
			t.Fatalf("content %d has another digest when it is asked again", i)
		}
	}
	if p.Free() != buffers {
		t.Errorf("%d of %d buffers came back", p.Free(), buffers)
	}
}
