// Package mounts is the witness of what is mounted: what is there when it begins, then every mount and unmount, with class and device.
//
//	/proc/self/mountinfo ──poll──▶ table ──▶ what appeared, went, moved, was remounted ──▶ Evidence
//	uevents (hints) ──▶ sysfs: is the stick still there? ─┘        │
//	configuration of cloud clients ──▶ folders ────────────────────┤
//	                                                               └──▶ Places: on what does this path lie? (for others, at any time)
//
// It promises: a mount that stays is told within a second, and what is told is what the kernel's table said at that moment. Mounts that come and go between
// two looks are told of as far as a look saw them: never one without the other, and never in the wrong order. What was told is kept in the state folder, so
// that a restart tells only what changed meanwhile. It opens and asks nothing of what is mounted: a dead share hangs nobody, an autofs mounts nothing, and an
// umount is never busy because of it.
//
// It sees the mount namespace in which it runs, and none of those of containers and services. It leaves to others: what was copied where (join), and how a
// person is told.
package mounts
