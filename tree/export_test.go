package tree

import "os"

// ForceLegacy makes the tree resolve names as on a kernel without openat2.
func (t *Tree) ForceLegacy() (err error) {
	t.legacy, err = os.OpenRoot(t.path)
	return err
}

// Functions that are tested from outside.
var (
	KeptStem = keptStem
	StampOf  = stampOf
	IsStamp  = isStamp
	IsTemp   = isTemp
	Distance = distance
)
