//go:build corpus && !race

package truth

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"tallyman"
	"tallyman/source/wire"
)

// whole are the transfers that are complete, with their digests.
func whole(evidence []tallyman.Evidence) map[string]tallyman.Digest {
	out := map[string]tallyman.Digest{}
	for _, e := range evidence {
		if e.Kind == tallyman.KindClosed && e.Reason.Verdict() == tallyman.Complete {
			out[e.Peer.String()+e.Began.String()+e.Name] = e.Digest
		}
	}
	return out
}

// kinds is a capture as it is, as files of each kind, and in an order such as rings of several processors give: neighbours change places, their times stay.
func kinds(t *testing.T, name string, b []byte) map[string][]byte {
	t.Helper()
	f, err := wire.OpenFile(name, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var frames []wire.Frame
	for {
		p, err := f.Next()
		if err != nil {
			break
		}
		frames = append(frames, *p)
		frames[len(frames)-1].Data = bytes.Clone(p.Data)
	}
	out := map[string][]byte{"it is": b}
	var plain, swapped, ng, packed bytes.Buffer
	write := func(to *bytes.Buffer, frames []wire.Frame) {
		w := pcapgo.NewWriterNanos(to)
		if err := w.WriteFileHeader(1<<18, layers.LinkType(frames[0].Link)); err != nil {
			t.Fatal(err)
		}
		for _, p := range frames {
			if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.Length}, p.Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(&plain, frames)
	w, err := pcapgo.NewNgWriter(&ng, layers.LinkType(frames[0].Link))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range frames {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.Length}, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i+1 < len(frames); i += 2 { // within a millisecond, the wait of a ring is far longer
		if frames[i+1].Time.Sub(frames[i].Time) < time.Millisecond {
			frames[i], frames[i+1] = frames[i+1], frames[i]
		}
	}
	write(&swapped, frames)
	out["pcap"], out["pcapng"], out["gz"], out["live"] = plain.Bytes(), ng.Bytes(), packed.Bytes(), swapped.Bytes()
	return out
}

// TestCaptureThatIsCutMakesNothingElseWhole cuts each capture behind packets, and a few bytes into the next one: what is complete then is complete in the
// whole capture too, with the same digest, and nothing ends twice.
func TestCaptureThatIsCutMakesNothingElseWhole(t *testing.T) {
	cuts := 0
	for _, name := range []string{"truth.jsonl", "truth_gen.jsonl"} {
		for capture := range readAnswers(t, name) {
			b, err := os.ReadFile(filepath.Join(testdata, capture))
			if err != nil {
				t.Fatal(err)
			}
			want := whole(read(t, capture, b, false))
			for kind, b := range kinds(t, capture, b) {
				step := max(1, len(b)/60|1) // an odd number: it hits all places of a packet
				if len(b) < 2<<10 {
					step = 1
				}
				for n := 0; n < len(b); n += step {
					cuts++
					for key, sum := range whole(read(t, capture, b[:n], true)) {
						full, ok := want[key]
						if !ok || sum != full && sum != "" {
							t.Errorf("%s as %s cut at %d of %d: %s is complete, %s", capture, kind, n, len(b), key, sum)
						}
					}
				}
			}
		}
	}
	if cuts < 5000 {
		t.Errorf("%d cuts were made", cuts)
	}
}

func read(t *testing.T, name string, b []byte, cut bool) []tallyman.Evidence {
	t.Helper()
	f, err := wire.OpenFile(name, bytes.NewReader(b))
	if err != nil {
		if !cut {
			t.Fatal(err)
		}
		return nil
	}
	var out []tallyman.Evidence
	ended := map[string]bool{}
	cfg := wire.Defaults()
	cfg.Flows = false
	_, err = wire.Replay(cfg, []*wire.File{f}, func(e tallyman.Evidence) {
		out = append(out, e)
		if e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal {
			if key := e.Peer.String() + e.Began.String(); ended[key] {
				t.Errorf("%s: two ends of %s", name, key)
			} else {
				ended[key] = true
			}
		}
	}, nil)
	if err != nil && !cut {
		t.Error(err)
	}
	return out
}
