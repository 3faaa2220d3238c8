// Package ring takes packets out of a ring that the kernel fills: a packet socket with TPACKET_V3 (packet(7), and
// Documentation/networking/packet_mmap.rst of Linux).
//
//	kernel: filter --> block, block, block ... --> Each --> packet, packet, packet
//	                   full, or Retire old         the block goes back
//
// It promises that no packet comes from before its filter was there, that a packet waits at most Retire for its block, and that Drops counts what found no room.
// A wake costs the scheduler of Go nothing beside it: the socket is waited for as other sockets are, and nothing is asked of the kernel while there are blocks.
// What packets mean it leaves to others. It needs CAP_NET_RAW.
package ring
