// Package who finds out which process a pid is: when it started, what it runs, for whom, and which files it holds open.
//
// It promises that what was once learnt of a process outlives it: an event may be read after its process has gone. It tells a pid that was given to
// another process from the first one by the time of its start. Reading is without side effects and never waits for a slow file system: files that a
// process holds are only named by the kernel, not opened.
//
// What it cannot do: know a process that was gone before anybody asked. It says so.
package who
