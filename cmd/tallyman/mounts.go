package main

import (
	"os"
	"time"

	"tallyman"
	"tallyman/cmd/tallyman/watch"
	"tallyman/config"
	"tallyman/source/mounts"
	"tallyman/source/mounts/device"
	"tallyman/web"
)

// mountsConfig composes what is watched of mounts. As root the homes of all users are looked at for cloud clients, else one's own.
func mountsConfig(cfg config.Config, state string) mounts.Config {
	m := cfg.Watch.Mounts
	c := mounts.Defaults(hostName(cfg))
	c.State, c.Told, c.Classes = state, nil, map[string]device.Class{}
	for _, s := range []struct {
		on    bool
		class device.Class
	}{{m.Local, device.Local}, {m.Removable, device.Removable}, {m.Network, device.Network}, {m.Cloud, device.Cloud}} {
		if s.on {
			c.Told = append(c.Told, s.class)
		}
	}
	for folder, class := range m.Classes {
		c.Classes[folder] = device.Class(class)
	}
	if os.Geteuid() != 0 {
		c.Passwd = ""
	}
	if home := os.Getenv("HOME"); home != "" {
		c.Homes = []string{home}
	}
	return c
}

// mounted is what is mounted, for API, doctor and the start text. What the kernel and services mounted for themselves is left out.
func mounted(all []mounts.Place) []web.Mount {
	out := []web.Mount{}
	for i := range all {
		p := &all[i]
		if p.Quiet {
			continue
		}
		out = append(out, web.Mount{
			Path: tallyman.Escape(p.Path), ToClass: string(p.Class), Device: p.Device, Vendor: tallyman.Escape(p.Facts.Vendor), Model: tallyman.Escape(p.Facts.Model),
			Serial: tallyman.Escape(p.Facts.Serial), Label: tallyman.Escape(p.Facts.Label), Share: tallyman.Escape(p.Facts.Share), Provider: p.Facts.Provider,
			Account: tallyman.Escape(p.Facts.Account), FS: tallyman.Escape(p.FS), Source: tallyman.Escape(p.Source), ReadOnly: p.ReadOnly, Folder: p.Folder,
			User: tallyman.Escape(p.User), Since: p.Since.UTC().Truncate(time.Millisecond), Why: tallyman.Escape(p.Facts.Why),
		})
	}
	return out
}

// mountedSays is one of them in a line.
func mountedSays(m *web.Mount) string {
	text := m.Path + ": " + m.ToClass
	if m.Device != "" {
		text += " " + m.Device
	}
	if m.Folder {
		return text
	}
	text += ", " + m.FS
	if m.ReadOnly {
		text += ", read-only"
	}
	return text
}

// mountsNow is what is mounted, as a watch sees it; a server that watches nothing knows of none.
func (h *house) mountsNow() []web.Mount {
	if h.watched == nil {
		return nil
	}
	return mounted(h.watched.Places())
}

// foreignMounts are those that are not this machine's own.
func foreignMounts(list []web.Mount) (all []check) {
	for i := range list {
		if m := &list[i]; m.ToClass != string(device.Local) {
			all = append(all, check{Name: "  " + m.ToClass, Fine: true, Says: mountedSays(m) + " (" + m.Why + ")"})
		}
	}
	return all
}

// wouldMounts is what a watch would see mounted.
func wouldMounts(cfg config.Config) []check {
	c := mountsConfig(cfg, "")
	if len(c.Told) == 0 {
		return []check{{Name: "mounts", Fine: true, Says: "switched off by watch.mounts"}}
	}
	places, err := watch.WouldPlaces(c)
	if err != nil {
		return []check{{Name: "mounts", Says: err.Error(), Remedy: "mount /proc"}}
	}
	return append([]check{{Name: "mounts", Fine: true, Says: watch.Sums(places)}}, foreignMounts(mounted(places))...)
}
