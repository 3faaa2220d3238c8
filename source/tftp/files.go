package tftp

import (
	"net/netip"

	"tallyman/source/tftp/content"
)

// The served tree as this room needs it.
type (
	// Files opens files and begins uploads.
	Files = content.Files
	// File is one that is read.
	File = content.File
	// Upload is one that is written.
	Upload = content.Upload
	// Refusal says why Files did not.
	Refusal = content.Refusal
)

// Gate says whether an address may ask, and if not why: one sentence for the
// record that names the setting. silent leaves the client without an answer.
type Gate func(client netip.Addr) (ok bool, why string, silent bool)
