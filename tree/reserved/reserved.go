// Package reserved knows the names that a served folder keeps for itself: kept versions and temporary files. It is pure.
//
//	ROOT/.kept/dir/NAME-2020-04-20-11-05-37-345   an old version of dir/NAME, with the time of its content
//	ROOT/dir/.tallyman-0123456789abcdef.part      an upload that is not whole yet
//
// It promises: a name that it makes is no longer than a file system allows, it knows the names that it makes, and takes no other for one. A long
// name is cut in its versions, and a hash tells it from its like. It leaves to package tree what lies under these names.
package reserved

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tallyman"
)

// Kept is the folder of kept versions.
const Kept = ".kept"

const (
	tempPrefix = ".tallyman-"
	tempSuffix = ".part"
	tempDraw   = 8 // bytes that tell temporary files apart

	stampLayout = "2006-01-02-15-04-05" // and -345, the milliseconds
	stampLength = len(stampLayout) + 4
	cutHash     = 16 // digits that stand for what was cut from a long name
)

// Is reports whether an element of a path is reserved: a folder of kept versions or a temporary file. Such names are neither served nor
// taken nor listed. Letter case does not count, because on some file systems (vfat) it does not.
func Is(element string) bool {
	if element == "" || element[0] != '.' {
		return false
	}
	return strings.EqualFold(element, Kept) || IsTemporary(strings.ToLower(element))
}

// In reports whether any element of the path is reserved.
func In(path string) bool {
	if !strings.HasPrefix(path, ".") && !strings.Contains(path, "/.") {
		return false
	}
	for element := range strings.SplitSeq(path, "/") {
		if Is(element) {
			return true
		}
	}
	return false
}

// Temporary returns the name of a temporary file, made of what the caller drew by lot.
func Temporary(draw [tempDraw]byte) string {
	return tempPrefix + hex.EncodeToString(draw[:]) + tempSuffix
}

// IsTemporary reports whether the whole name has the form of a temporary file.
func IsTemporary(name string) bool {
	digits, ok := strings.CutPrefix(name, tempPrefix)
	if !ok {
		return false
	}
	digits, ok = strings.CutSuffix(digits, tempSuffix)
	return ok && len(digits) == 2*tempDraw && strings.Trim(digits, "0123456789abcdef") == ""
}

// Version returns the name under which a version of base is kept. at is the time of its content, in the zone in which it is to be read. A year that
// four digits do not hold is written as 1970.
func Version(base string, at time.Time) string {
	if y := at.Year(); y < 0 || y > 9999 {
		at = time.Unix(0, 0).In(at.Location())
	}
	return stem(base) + fmt.Sprintf("%s-%03d", at.Format(stampLayout), at.Nanosecond()/1e6)
}

// IsVersion reports whether the name is that of a kept version of base. Of two, the one with the greater name has the later time.
func IsVersion(name, base string) bool {
	stamp, ok := strings.CutPrefix(name, stem(base))
	return ok && isStamp(stamp)
}

// stem is what a version has before its stamp. A name that would be too long with it is cut, and a hash of the whole tells it from its like.
func stem(base string) string {
	const most = tallyman.MaxNameElement - 1 - stampLength
	if len(base) <= most {
		return base + "-"
	}
	sum := sha256.Sum256([]byte(base))
	return base[:most-1-cutHash] + "~" + hex.EncodeToString(sum[:cutHash/2]) + "-"
}

// isStamp reports whether the text has the form of a stamp.
func isStamp(s string) bool {
	if len(s) != stampLength {
		return false
	}
	for i := range len(s) {
		if dash := i == 4 || i > 4 && i < 20 && i%3 == 1; dash != (s[i] == '-') || !dash && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}
