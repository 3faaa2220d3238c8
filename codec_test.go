package tallyman_test

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"tallyman"
)

func sampleEvidence() tallyman.Evidence {
	began := time.Date(2026, 11, 20, 18, 0, 0, 123456000, time.UTC)
	return tallyman.Evidence{
		ID: tallyman.ID{Agent: tallyman.Agent{1, 2, 3}, Epoch: 4, Seq: 99}, Time: began.Add(time.Second), Seen: began.Add(2 * time.Second), Began: began,
		Host: "lab", Witness: "server", Kind: tallyman.KindClosed, Proto: "tftp", User: "u", Session: "s", Op: tallyman.OpPut,
		Peer: netip.MustParseAddrPort("10.0.0.7:1234"), Self: netip.MustParseAddrPort("[fe80::1%eth0]:69"), Proc: tallyman.Proc{PID: 7, Start: 8},
		Name: "a\xffb", Path: "/srv/a", From: "/srv/b", File: "1:2:3", Volume: "usb:X", Size: 10, Moved: -1, Expected: 1 << 40,
		Details: `{"mode":"octet"}`, Digest: "sha256:00", Reason: tallyman.Stored, Err: "e", Raw: "r\n",
	}
}

func TestEvidenceSurvivesItsCodecInEveryField(t *testing.T) {
	full := sampleEvidence()
	full.Self = netip.MustParseAddrPort("[2001:db8::1]:69") // a zone is a matter of one host and is not kept
	fields := reflect.TypeOf(full)
	for i := range fields.NumField() {
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Errorf("the sample leaves %s zero: the test would not see it lost", fields.Field(i).Name)
		}
	}
	for _, before := range []*tallyman.Evidence{nil, {}, &full} {
		got, rest, err := tallyman.DecodeEvidence(append(tallyman.AppendEvidence(nil, before, &full), 7), before)
		if err != nil || len(rest) != 1 || got != full {
			t.Fatalf("before %v: got %+v, rest %d, err %v", before != nil, got, len(rest), err)
		}
	}
	var zero tallyman.Evidence
	got, _, err := tallyman.DecodeEvidence(tallyman.AppendEvidence(nil, &full, &zero), &full)
	if err != nil || got != zero {
		t.Fatalf("a field that turns zero must be zero again: %+v, %v", got, err)
	}
}

func TestEvidenceCutAnywhereIsAnErrorNotAGuess(t *testing.T) {
	e := sampleEvidence()
	b := tallyman.AppendEvidence(nil, nil, &e)
	for i := range b {
		if _, _, err := tallyman.DecodeEvidence(b[:i], nil); err == nil {
			t.Fatalf("cut at %d of %d bytes was accepted", i, len(b))
		}
	}
}

func TestSecondEvidenceOfATransferCostsLittle(t *testing.T) {
	first := sampleEvidence()
	second := first
	second.ID.Seq++
	second.Time = second.Time.Add(time.Millisecond)
	pack := tallyman.AppendPack(nil, nil, []tallyman.Evidence{first, second})
	alone := tallyman.AppendEvidence(nil, nil, &first)
	if more := len(pack) - len(alone); more > 12 {
		t.Errorf("the second evidence took %d bytes", more)
	}
	list, err := tallyman.DecodePack(pack, nil)
	if err != nil || len(list) != 2 || list[1].ID.Seq != second.ID.Seq {
		t.Fatalf("pack came back as %d evidence, %v", len(list), err)
	}
}

func TestDecoderReadsWhatIsReadOneByOne(t *testing.T) {
	var d tallyman.Decoder
	var kept, want []tallyman.Evidence
	var b []byte          // of all, so that a text which was not copied would change
	for i := range 5000 { // more texts than a decoder keeps
		e := sampleEvidence()
		e.Name, e.Path = "file-"+strconv.Itoa(i%1500), strings.Repeat("p", i%600)
		e.Self = netip.MustParseAddrPort("10.0.0.1:69")
		want = append(want, e)
		b = tallyman.AppendEvidence(b[:0], nil, &e)
		got, rest, err := d.Evidence(b, nil)
		if err != nil || len(rest) != 0 {
			t.Fatal(err, rest)
		}
		kept = append(kept, got)
	}
	clear(b[:cap(b)])
	for i := range want {
		if kept[i] != want[i] {
			t.Fatalf("%d came back as %+v", i, kept[i])
		}
	}
}

func TestTextsThatRepeatAreCopiedOnce(t *testing.T) {
	e := sampleEvidence()
	e.Details, e.Err, e.Raw = "", "", ""
	b := tallyman.AppendEvidence(nil, nil, &e)
	var d tallyman.Decoder
	if n := testing.AllocsPerRun(100, func() { _, _, _ = d.Evidence(b, nil) }); n > 2 { // two texts may have one place
		t.Errorf("%v allocations", n)
	}
}

func FuzzEvidenceAcceptedMeansRenderedBackEqual(f *testing.F) {
	e := sampleEvidence()
	f.Add(tallyman.AppendEvidence(nil, nil, &e))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _, err := tallyman.DecodeEvidence(b, nil)
		var d tallyman.Decoder
		for range 2 {
			if same, _, again := d.Evidence(b, nil); same != got || (again == nil) != (err == nil) {
				t.Fatalf("a decoder reads %+v, %v", same, again)
			}
		}
		if err != nil {
			return
		}
		again, rest, err := tallyman.DecodeEvidence(tallyman.AppendEvidence(nil, nil, &got), nil)
		if err != nil || len(rest) != 0 || again != got {
			t.Fatalf("%+v came back as %+v, %v", got, again, err)
		}
	})
}

func BenchmarkEvidenceCodec(b *testing.B) {
	e := sampleEvidence()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = tallyman.AppendEvidence(buf[:0], nil, &e)
		if _, _, err := tallyman.DecodeEvidence(buf, nil); err != nil {
			b.Fatal(err)
		}
	}
}
