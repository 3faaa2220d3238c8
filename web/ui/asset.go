package ui

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Asset returns an asset for somebody who accepts these encodings (RFC 9110, section 12.5.3), and how it is encoded: br, gzip, or "" for not at all. A name
// that is none of an asset is fs.ErrNotExist or fs.ErrInvalid.
func Asset(files fs.FS, name, accepted string) (content []byte, encoding string, err error) {
	name = path.Clean(name)
	if takes(accepted, "br") {
		if packed, err := fs.ReadFile(files, name+".br"); err == nil {
			return packed, "br", nil
		}
	}
	packed, err := fs.ReadFile(files, name+".gz")
	if err != nil || takes(accepted, "gzip") {
		return packed, "gzip", err
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, "", err
	}
	content, err = io.ReadAll(plain)
	return content, "", err
}

// takes reports whether an Accept-Encoding names the coding and does not refuse it by q=0.
func takes(accepted, coding string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q, _ := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			return strings.Trim(q, "0.") != "" || weight == ""
		}
	}
	return false
}
