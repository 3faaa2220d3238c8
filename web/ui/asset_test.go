package ui_test

import (
	"bytes"
	"compress/gzip"
	"testing"
	"testing/fstest"

	"tallyman/web/ui"
)

func TestAssetIsSentAsItsReaderTakesIt(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("let a = 1"))
	_ = z.Close()
	files := fstest.MapFS{
		"assets/a.js.gz": {Data: packed.Bytes()}, "assets/a.js.br": {Data: []byte("brotli")}, "assets/old.js.gz": {Data: packed.Bytes()}, "secret.gz": {Data: packed.Bytes()},
	}
	f := func(name, accepted, wantEncoding, want string) {
		t.Helper()
		content, encoding, err := ui.Asset(files, name, accepted)
		if err != nil || encoding != wantEncoding || string(content) != want {
			t.Errorf("%s for %q: %q, %q, %v", name, accepted, encoding, content, err)
		}
	}
	f("assets/a.js", "gzip, deflate, br, zstd", "br", "brotli")
	f("assets/a.js", "BR", "br", "brotli")
	f("assets/a.js", "gzip", "gzip", packed.String())
	f("assets/a.js", "br;q=0, gzip;q=0.5", "gzip", packed.String())
	f("assets/a.js", "br;q=0.000, brotli", "", "let a = 1")
	f("assets/a.js", "br;q=1.0", "br", "brotli")
	f("assets/a.js", "", "", "let a = 1")
	f("assets/old.js", "br, gzip", "gzip", packed.String())
	for _, name := range []string{"assets/none.js", "../assets/a.js", "/assets/a.js", "", "assets"} {
		if _, _, err := ui.Asset(files, name, "br, gzip"); err == nil {
			t.Errorf("%q is an asset", name)
		}
	}
}
