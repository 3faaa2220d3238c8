package tallyman_test

import (
	"encoding/json"
	"testing"

	"tallyman"
)

func TestDetailsThatAreNoJSONSpoilNoRecord(t *testing.T) {
	for _, details := range []string{`{"mode":`, "mode=octet", "\x00\xff\n", `{"a":1}{`, `{"a":1}`, ""} {
		tr := tallyman.Transfer{Details: details, Evidence: []tallyman.Evidence{{Kind: tallyman.KindClosed, Details: details}}}
		line, err := json.Marshal(&tr)
		if err != nil || !json.Valid(line) {
			t.Errorf("details %q: %v", details, err)
			continue
		}
		if _, err := tallyman.UnmarshalRecord(line); err != nil {
			t.Errorf("details %q are not read back: %v", details, err)
		}
	}
}
