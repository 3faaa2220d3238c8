package tree

// ForceLegacy makes the tree resolve names as on a kernel without openat2.
func (t *Tree) ForceLegacy() error { return t.root.WithoutOpenat2() }

// Distance is tested from outside.
var Distance = distance
