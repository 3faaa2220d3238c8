// Package config reads the one YAML file of Tallyman and says what is in force.
//
//	defaults --> file, conf.d/*.yaml (strict) --> environment TALLYMAN_SECTION_KEY --> Set (flags) --> Check --> Config
//	                                                                                                      |
//	                             Show, Schema, Diff <-----------------------------------------------------+
//
// It promises that a key which is not understood is never silently ignored: an unknown key, a key of a later version, a duplicate, a
// wrong type, a second document are each an error with file, line, column, excerpt and a remedy, and all of them are told at once.
// What is accepted, shown by Show and read again is the same configuration. Numbers without a unit are refused where a duration or
// a size is meant, and so are numbers that YAML versions read differently (010, 0x1f, 1_000).
//
// The structs are the one list of keys: a field with a yaml tag is a key, its doc comment is the text that editors show, the tag
// live says that a running server takes a change without a restart. Secrets are never in the file: keys that end in _file name them.
//
// It opens no socket and starts nothing. Whether a path exists, a port is free or a user is known, it leaves to those who use them.
package config
