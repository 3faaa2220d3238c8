//go:build real

package main

import "testing"

// shows fails unless each contestant of a case has all figures.
func shows(t *testing.T, name string, metrics ...string) map[string]sample {
	t.Helper()
	got := short(t, name)
	for label, of := range got {
		t.Log(label, of)
		some(t, of, metrics...)
	}
	return got
}

func TestFilesGoByFTPBesideThePeers(t *testing.T) {
	for _, name := range []string{"ftp-download", "ftp-upload"} {
		shows(t, name, perGiB, clientCPU, speed)
	}
}

func TestFilesGoByFTPSBesideThePeers(t *testing.T) {
	for _, name := range []string{"ftps-download", "ftps-upload"} {
		shows(t, name, perGiB, clientCPU, speed)
	}
}

func TestOpenSSHMovesFilesBesideItsOwnServer(t *testing.T) {
	for _, name := range []string{"sftp-download", "sftp-upload"} {
		shows(t, name, perGiB, clientCPU, speed)
	}
}

func TestLittleFilesAreWholeAsTheyWereSent(t *testing.T) {
	shows(t, "ftp-files-down", filesEach, each)
	for _, of := range shows(t, "ftp-files-up", filesEach, each) {
		none(t, of, failed)
	}
}

func TestManySessionsMoveFilesAtOnce(t *testing.T) {
	for _, name := range []string{"ftp-sessions", "sftp-sessions"} {
		shows(t, name, moved, logged, held)
	}
}

func TestWhoComesAgainIsLetInFasterThanAHashTakes(t *testing.T) {
	got := shows(t, "ftp-logins", entered, each)
	if first, again := got[ours][each], got[ours+repeated][each]; again > first/5 {
		t.Errorf("%v us of CPU the first time, %v again", first, again)
	}
}
