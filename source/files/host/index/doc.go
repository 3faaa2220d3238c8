// Package index holds what is known of the watched folders: which names stand in them, which objects these name, and how they looked when that was
// last told. What is found on the disk later is compared with it.
//
// An object is known by its file system and its handle (Key), so it stays itself through renames; a name belongs to its folder, so renaming a
// folder moves all below it at the cost of one. About 200 bytes an entry.
//
// It promises that what is written to the journal (Pending) brings back what was kept, wherever the journal was cut: a cut or damaged end is left
// out. It is pure. It leaves to others where the journal is stored and when: an entry may only be stored after what it tells of is.
package index
