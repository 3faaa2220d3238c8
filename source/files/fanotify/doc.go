// Package fanotify reads file system events from Linux's fanotify(7), with the process that caused them and without descriptors in the events.
//
//	kernel queue --Read--> bytes --Next--> Event{mask, pid, folder handle + name, file handle}
//
// It promises that Next is a pure function that never reads past the bytes it is given, that it refuses what it does not understand and says
// so, and that an overflow of the kernel's queue is an event like any other. The queue of a Group is not bounded by default: a slow reader costs
// memory, about 150 bytes an event, and loses nothing.
//
// What the kernel does to events, and no reader can undo: events of one process on one file that wait in the queue together are merged into one
// with all their bits, at the place of the first. So bits have no order and no count.
//
// It leaves to others what a handle is called, whose pid it is, and what it all means.
package fanotify
