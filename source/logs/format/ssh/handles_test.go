package ssh

import (
	"fmt"
	"testing"
	"time"

	"tallyman/source/logs/format/entry"
)

// TestFilesThatNobodyClosesAreBounded opens files in many sessions, of which no line tells that they are closed.
func TestFilesThatNobodyClosesAreBounded(t *testing.T) {
	f := NewSFTPServer(NewSilence()).(*sftpServer)
	const sessions = 50
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	line := func(pid int32, message string) {
		out, _ := f.Take(&entry.Entry{Time: at, PID: pid, Message: message, Raw: message}, nil)
		if len(out) != 1 {
			t.Fatalf("%q told %d", message, len(out))
		}
	}
	held := func() (n int) {
		for pid := range int32(sessions) {
			if s, ok := f.sessions.Get(pid + 1); ok {
				n += len(s.open)
			}
		}
		return n
	}
	most := 0
	for i := range allHandles / 4 * 5 {
		line(int32(i%sessions+1), fmt.Sprintf(`open "/f%d" flags READ mode 0666`, i))
		if i%10 == 0 {
			line(int32(i%sessions+1), fmt.Sprintf(`open "/g%d" flags READ mode 0666`, i))
			line(int32(i%sessions+1), fmt.Sprintf(`close "/g%d" bytes read 1 written 0`, i))
		}
		if i%1000 == 0 {
			if most = max(most, held()); held() != f.handles {
				t.Fatalf("%d are held, and counted as %d", held(), f.handles)
			}
		}
	}
	if most > allHandles || most < allHandles/2 {
		t.Errorf("%d open files were held, the bound is %d", most, allHandles)
	}
}
