package tallyman_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"tallyman"
)

func sampleTransfer() *tallyman.Transfer {
	start := time.Date(2026, 11, 20, 18, 0, 0, 123456000, time.UTC)
	return &tallyman.Transfer{
		ID: tallyman.DrawUUID(start, tallyman.ID{Seq: 1}), Rev: 2, Merged: tallyman.DrawUUID(start, tallyman.ID{Seq: 2}),
		Start: start, End: start.Add(1234567 * time.Microsecond), Seen: start.Add(2 * time.Second), Host: "lab", Proto: "tftp", Op: tallyman.OpPut,
		Client: netip.MustParseAddrPort("10.0.0.7:1234"), Server: netip.MustParseAddrPort("[2001:db8::1]:69"), Software: "tallyman 1",
		User: "u", WhoWhy: "tftp has no users", Proc: tallyman.Proc{PID: 3, Start: 4}, Exe: "/bin/x", Login: "l", Session: "s",
		Name: "a\n\xff<b>", Path: "/srv/a\x1b", NewPath: "/srv/\u202eb", ToClass: "local", Device: "d",
		Expected: 5, Bytes: 6, Digest: "sha256:aa", Content: tallyman.Full,
		Judgement: tallyman.Judgement{Verdict: tallyman.Complete, Reason: tallyman.Stored, For: []string{"server"}, Against: []string{"log"}},
		Details:   `{"mode":"octet"}`, Tags: []string{"x"},
	}
}

func TestTransferSurvivesItsJSONInEveryField(t *testing.T) {
	want := sampleTransfer()
	for i := range reflect.TypeOf(*want).NumField() {
		if f := reflect.TypeOf(*want).Field(i); f.Name != "Evidence" && reflect.ValueOf(*want).Field(i).IsZero() {
			t.Errorf("the sample leaves %s zero: the test would not see it lost", f.Name)
		}
	}
	line, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(tallyman.Transfer)
	if err := json.Unmarshal(line, got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	rec, err := tallyman.UnmarshalRecord(line)
	if err != nil || !reflect.DeepEqual(rec, want) {
		t.Errorf("as a record: %+v, %v", rec, err)
	}
}

func TestUnknownIsAbsentInJSONAndNeverZero(t *testing.T) {
	line, err := json.Marshal(&tallyman.Transfer{Expected: -1, Bytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"bytes", "expected", "end", "took_ms", "sha256", "client", "file_raw", "reason", "outcome"} {
		if strings.Contains(string(line), `"`+field+`"`) {
			t.Errorf("%s stands in %s", field, line)
		}
	}
	if line, _ = json.Marshal(&tallyman.Transfer{}); !strings.Contains(string(line), `"bytes":0`) {
		t.Errorf("a known 0 must be shown: %s", line)
	}
}

func TestTransferJSONHasTheNamesOfTheContract(t *testing.T) {
	line, err := json.Marshal(sampleTransfer())
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsSeq(`id rev merged host proto op start end seen took_ms client server user pid exe who_why login session
		file file_raw path new_path to_class device expected bytes sha256 content verdict reason outcome witnesses against details tags`) {
		if _, ok := m[field]; !ok {
			t.Errorf("%s is missing in %s", field, line)
		}
	}
	if m["file"] != `a\n\xff<b>` || m["took_ms"] != 1234.567 || m["start"] != "2026-11-20T18:00:00.123456Z" {
		t.Errorf("file %v, took_ms %v, start %v", m["file"], m["took_ms"], m["start"])
	}
	if server := m["server"].(map[string]any); server["ip"] != "2001:db8::1" || server["port"] != 69.0 || server["software"] != "tallyman 1" {
		t.Errorf("server %v", server)
	}
}

func TestGapEventAndFindingSurviveTheirJSON(t *testing.T) {
	at := time.Date(2026, 11, 20, 18, 0, 0, 5000, time.UTC)
	id := tallyman.DrawUUID(at, tallyman.ID{Seq: 3})
	for _, want := range []tallyman.Record{
		&tallyman.Gap{ID: id, Host: "h", Witness: "wire", From: at, To: at.Add(time.Second), Lost: 0, Why: "ring full"},
		&tallyman.Event{ID: id, At: at, Host: "h", Witness: "pipe", Kind: "order", Text: "reload", Client: netip.MustParseAddrPort("[::1]:9")},
		&tallyman.Finding{ID: id, At: at, Rule: "request-rate", Severity: tallyman.Medium, About: []tallyman.UUID{id}, Key: "k", Why: "w"},
	} {
		line, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tallyman.UnmarshalRecord(line)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s came back as %+v, %v", line, got, err)
		}
	}
}

func TestUUIDIsVersion7AndAFunctionOfTheFirstEvidence(t *testing.T) {
	at := time.Date(2026, 11, 20, 18, 0, 0, 123000000, time.UTC)
	a := tallyman.DrawUUID(at, tallyman.ID{Epoch: 1, Seq: 1})
	if a != tallyman.DrawUUID(at, tallyman.ID{Epoch: 1, Seq: 1}) || a == tallyman.DrawUUID(at, tallyman.ID{Epoch: 1, Seq: 2}) {
		t.Error("the same place must give the same id, another place another")
	}
	if s := a.String(); s[14] != '7' || !strings.ContainsRune("89ab", rune(s[19])) || !a.Time().Equal(at) {
		t.Errorf("%s is no version 7 UUID of %s", a, at)
	}
	if back, err := tallyman.ParseUUID(strings.ToUpper(a.String())); err != nil || back != a {
		t.Errorf("%s came back as %s, %v", a, back, err)
	}
}

func TestReasonsAndVerdictsFormOneTable(t *testing.T) {
	seen := map[tallyman.Reason]bool{}
	for _, r := range tallyman.Reasons() {
		if seen[r] {
			t.Errorf("%s stands twice", r)
		}
		seen[r] = true
		if v := r.Verdict(); !tallyman.Legal(v, r) || tallyman.Legal(tallyman.Active, r) {
			t.Errorf("%s beside %s", r, v)
		}
	}
	if tallyman.Legal(tallyman.Complete, tallyman.NotFound) || tallyman.Legal(tallyman.Complete, "") || !tallyman.Legal(tallyman.Active, "") {
		t.Error("an illegal pair is legal")
	}
}
