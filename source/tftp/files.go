package tftp

import (
	"net/netip"

	"tallyman/source/tftp/content"
)

// What the served tree is to this room, and why it may say no.
type (
	Files   = content.Files
	File    = content.File
	Upload  = content.Upload
	Refusal = content.Refusal
)

// Gate says whether an address may ask, and if not why: one sentence for the
// record that names the setting. silent leaves the client without an answer.
type Gate func(client netip.Addr) (ok bool, why string, silent bool)
