//go:build real

package real

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// want is what the record of a transfer must say.
type want struct {
	op, file        string
	verdict, reason string
	bytes           int64  // payload on the wire, -1 = the record must not claim any
	content         []byte // whose digest the record bears; nil = it must bear none
	client          string // "" = 127.0.0.1
}

// got is a finished read.
func got(file string, content []byte) want {
	return want{op: "get", file: file, verdict: "complete", reason: "final-ack", bytes: int64(len(content)), content: content}
}

// stored is a finished upload.
func stored(file string, content []byte) want {
	return want{op: "put", file: file, verdict: "complete", reason: "stored", bytes: int64(len(content)), content: content}
}

// refusal is a request that came to nothing.
func refusal(op, file, reason string) want {
	return want{op: op, file: file, verdict: "refused", reason: reason, bytes: -1}
}

var outcomes = map[string]string{
	"complete": "success", "probe": "success", "unproven": "unknown",
	"failed": "failure", "aborted": "failure", "refused": "failure", "contradicted": "failure",
}

// proves waits for the one record of a file and compares it.
func (s *server) proves(w want) record {
	s.t.Helper()
	found := s.ended(1, w.op, w.file)
	if len(found) != 1 {
		s.t.Errorf("%s %s has %d records: %+v", w.op, w.file, len(found), found)
	}
	s.compare(found[0], w)
	return found[0]
}

func (s *server) compare(r record, w want) {
	s.t.Helper()
	if w.client == "" {
		w.client = "127.0.0.1"
	}
	var wrong []string
	check := func(name string, is, should any) {
		if is != should {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", name, is, should))
		}
	}
	check("verdict", r.Verdict+" "+r.Reason, w.verdict+" "+w.reason)
	check("outcome", r.Outcome, outcomes[w.verdict])
	check("proto", r.Proto, "tftp")
	check("client.ip", r.Client.IP, w.client)
	check("client.port known", r.Client.Port != 0, true)
	check("server.ip", r.Server.IP, s.host())
	check("host known", r.Host != "", true)
	check("ends after it starts", !r.Start.IsZero() && !r.End.Before(r.Start), true)
	check("server is a witness", slices.Contains(r.Witnesses, "server"), true)
	check("witnesses against", len(r.Against), 0)
	bytes := int64(-1)
	if r.Bytes != nil {
		bytes = *r.Bytes
	}
	check("bytes", bytes, w.bytes)
	sum := ""
	if w.content != nil {
		sum = digest(w.content)
		check("content", r.Content, "full")
	}
	check("sha256", r.SHA256, sum)
	if len(wrong) > 0 {
		s.t.Errorf("%s %s: %q\nin %+v", w.op, w.file, wrong, r)
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// same compares a file with what it must hold.
func same(t testing.TB, path string, content []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	} else if !bytes.Equal(b, content) {
		t.Errorf("%s holds %d bytes with digest %s, not %d with %s", filepath.Base(path), len(b), digest(b), len(content), digest(content))
	}
}

// noise is content that repeats nowhere, the same for the same seed.
func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}
