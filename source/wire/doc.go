// Package wire is the witness "wire": it reads packets, of an interface or of a capture file, and says what they prove about transfers,
// logins and the starts of network sessions.
//
//	file (pcap, pcapng, gz) --+
//	                          +--> frame --> flow --> tftp --> evidence
//	ring of the kernel -------+    decode    one of    ftp
//	(filtered in the kernel)       fragments several interfaces
//
// It promises: its decoders are its own and share nothing with our servers; packets that were lost are a gap evidence with their number; memory is
// bounded; nothing is complete without the packet that proves it; contents are hashed and never kept. What the evidence amounts to, beside that of other
// witnesses, it leaves to the join.
package wire
