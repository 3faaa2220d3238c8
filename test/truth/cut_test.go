//go:build corpus

package truth

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

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
			step := max(1, len(b)/60|1) // an odd number: it hits all places of a packet
			for n := 0; n < len(b); n += step {
				cuts++
				for key, sum := range whole(read(t, capture, b[:n], true)) {
					full, ok := want[key]
					if !ok || sum != full && sum != "" {
						t.Errorf("%s cut at %d of %d: %s is complete, %s", capture, n, len(b), key, sum)
					}
				}
			}
		}
	}
	if cuts < 1000 {
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
