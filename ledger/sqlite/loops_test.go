//go:build !race

package sqlite

// How long the long tests are.
const (
	kills      = 30
	operations = 10_000
	drawings   = "100" // of a property
)
