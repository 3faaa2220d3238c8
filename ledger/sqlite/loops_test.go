//go:build !race

package sqlite

// How long the long tests are.
const (
	kills      = 30
	operations = 10_000
)
