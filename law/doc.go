// Package law holds the tests about the tree: what the house style calls law is checked here, in under a second.
//
// It promises that a breach is named with file and line, with the rule, and with what to do. Each rule is shown to find a planted breach.
//
// Who may import whom stands in one table, arrows. A new room gets its line in ARCHITECTURE.md, and an arrow if it needs one, or the
// build is red. Matters of taste are left to the linters, and behaviour to the tests of each room.
package law
