package tree

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// Names that belong to this package.
const (
	keptFolder = ".kept"
	tempPrefix = ".tallyman-"
	tempSuffix = ".part"
	tempDigits = 16
)

// Reserved reports whether an element of a path belongs to this package: a folder of kept versions or a temporary file. Such names
// are neither served nor taken nor listed. Letter case does not count, because on some file systems (vfat) it does not.
func Reserved(element string) bool {
	if len(element) == 0 || element[0] != '.' {
		return false
	}
	return strings.EqualFold(element, keptFolder) || isTemp(strings.ToLower(element))
}

// reservedPath reports whether any element of the path is reserved.
func reservedPath(path string) bool {
	if path[0] != '.' && !strings.Contains(path, "/.") {
		return false
	}
	for element := range strings.SplitSeq(path, "/") {
		if Reserved(element) {
			return true
		}
	}
	return false
}

// isTemp reports whether the whole name has the form of a temporary file.
func isTemp(name string) bool {
	digits, ok := strings.CutPrefix(name, tempPrefix)
	if !ok {
		return false
	}
	digits, ok = strings.CutSuffix(digits, tempSuffix)
	return ok && len(digits) == tempDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

func drawTemp() string {
	var b [tempDigits / 2]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return tempPrefix + hex.EncodeToString(b[:]) + tempSuffix
}
