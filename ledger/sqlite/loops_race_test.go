//go:build race

package sqlite

// How long the long tests are: SQLite is ten times slower under the race detector.
const (
	kills      = 3
	operations = 400
	drawings   = "12" // of a property
)
