package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is whose files uploads become when the program runs as root.
type owner struct{ uid, gid int }

// ownerOf returns the user that is named, or the owner of the root. Without root privileges files belong to who runs the program.
func ownerOf(name, root string) (owner, error) {
	if os.Geteuid() != 0 {
		return owner{os.Geteuid(), os.Getegid()}, nil
	}
	if name == "" {
		st, err := os.Stat(root)
		if err != nil {
			return owner{}, fmt.Errorf("look at %s: %w", root, err)
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok {
			return owner{}, nil
		}
		return owner{int(sys.Uid), int(sys.Gid)}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return owner{}, fmt.Errorf("serve.user: %w: name a user of this machine", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return owner{}, fmt.Errorf("serve.user: %w", err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return owner{}, fmt.Errorf("serve.user: %w", err)
	}
	return owner{uid, gid}, nil
}
