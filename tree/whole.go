package tree

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"tallyman"
)

// Whole reports whether the file under the name is, right now, the one that was meant: size bytes long (below 0: any), with the digest ("" any).
// A name that holds nothing, or no regular file, is not whole and no error. An error says that it could not be found out.
func (t *Tree) Whole(name tallyman.Name, size int64, digest tallyman.Digest) (bool, error) {
	f, err := t.OpenRead(name)
	if err != nil {
		if r := ReasonOf(err); r == tallyman.NotFound || r == tallyman.NotReadable {
			return false, nil
		}
		return false, err
	}
	defer f.Close()
	if size >= 0 && f.Size() != size {
		return false, nil
	}
	if digest == "" {
		return true, nil
	}
	algorithm, _, _ := strings.Cut(string(digest), ":")
	var h hash.Hash
	switch algorithm {
	case "sha256":
		h = sha256.New()
	case "md5":
		h = md5.New()
	default:
		return false, fmt.Errorf("compare %s: no digest algorithm is called %q", name, algorithm)
	}
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, f.Size())); err != nil {
		return false, err
	}
	if changed, err := f.Changed(); changed || err != nil {
		return false, err
	}
	return algorithm+":"+hex.EncodeToString(h.Sum(nil)) == string(digest), nil
}
