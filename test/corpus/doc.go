// Package corpus holds the contract tests that each ledger runs, and the generators of records that they use. It is imported by tests alone.
//
// A contract test states what the root package promises of an interface, and knows nothing of the room behind it:
//
//	func TestLedgerKeepsItsContract(t *testing.T) {
//		corpus.RunLedger(t, func(t testing.TB) tallyman.Ledger { return open(t) })
//	}
package corpus
