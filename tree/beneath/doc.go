// Package beneath opens what lies below one folder, and nothing else.
//
// It promises: no name, no symbolic link and no folder that is swapped meanwhile leads out, because the kernel resolves the whole path at
// once: openat2(2) with RESOLVE_BENEATH, or [os.Root] where the kernel (before 5.6) or a seccomp filter refuses that call. Links that stay
// inside are followed; the magic ones of proc(5) are not. Nothing registers with the runtime's poller.
//
// It leaves to package tree: which names are served, what is done with an open file, and what an error means to people.
package beneath
