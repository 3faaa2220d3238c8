package join

import (
	"encoding/json"
	"slices"
	"time"

	"tallyman"
)

// givesUp is less than any server waits for a client that has gone: tftpd-hpa closes the file of such a one 63 times -T after its last block, which is
// 12.6 s at 200 ms and 63 s by default.
const givesUp = 10 * time.Second

// probablyWhole reports whether log and files agree that all went well, and the packets alone are missing, or are encrypted (design section 4). The
// verdict stays unproven: what the packets alone can tell, a client that said stop, a disk that was full, looks the same.
func (c *cluster) probablyWhole(t *tallyman.Transfer) bool {
	if t.Judgement.Verdict != tallyman.Unproven || t.Judgement.Reason != tallyman.ClosedUnproven || c.near() {
		return false
	}
	file := c.said(tallyman.KindClosed, "files")
	if file == nil || file.Size < 0 || !used(file) {
		return false
	}
	claim := c.said(tallyman.KindClosed, "log")
	if claim == nil { // tftpd-hpa writes down requests and troubles, and no end
		asked := c.said(tallyman.KindRequest, "log")
		return asked != nil && asked.Proto == "tftp" && !file.Began.IsZero() && file.Time.Sub(file.Began) < givesUp
	}
	v, _ := ruling(claim)
	return v == tallyman.Complete && (claim.Moved < 0 || claim.Moved == file.Size)
}

// near reports whether a witness who could have proven the end saw it, and saw more than encrypted bytes.
func (c *cluster) near() bool {
	return slices.ContainsFunc(c.evidence, func(e tallyman.Evidence) bool {
		return e.Witness == "server" || e.Witness == "wire" && (e.Proto != "ftps" || ends(&e) && e.Reason != tallyman.ClosedUnproven)
	})
}

// used reports whether the process did with the file what the transfer is about, and left it there.
func used(file *tallyman.Evidence) bool {
	var d struct {
		Accessed, Modified, Deleted bool
		Close                       string
		Others                      int
	}
	if json.Unmarshal([]byte(file.Details), &d) != nil || d.Deleted || d.Close == "unseen" || d.Others > 0 {
		return false
	}
	if file.Op == tallyman.OpGet {
		return d.Accessed
	}
	return d.Modified
}
