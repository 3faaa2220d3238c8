// Package tftp follows the TFTP transfers of others (RFC 1350, 2347, 2348, 2349, 7440) from their packets and says what they prove.
//
//	request --> transfer --> answer of a port --> lane --> DATA, ACK ... --> last block acknowledged, ERROR, unreachable, silence
//
// It promises: options count only from the OACK; a transfer is final-ack only when the acknowledgement of the last block was seen; a block that
// came twice is counted once; a digest is given only for content seen whole; a request that is repeated is one transfer. Its memory is
// bounded by Config. It has a decoder of its own: it shares nothing with our server, so that both are never wrong together.
//
// It is pure: packets and ticks carry the time. Which packets it is shown, and what becomes of its evidence, it leaves to source/wire.
package tftp
