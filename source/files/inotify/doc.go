// Package inotify reads file system events from Linux's inotify(7): folder by folder, for any user, without the process that caused them.
//
// It promises that Next is a pure function that never reads past the bytes it is given, and that an overflow of the kernel's queue (16,384 events by
// default, fs.inotify.max_queued_events) is an event like any other. The kernel merges an event with the one before it only if both are alike, so
// their order is that in which things happened.
//
// It leaves to others which folders there are.
package inotify
