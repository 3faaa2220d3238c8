// Package dial tells which process connected a UDP socket to whom, from the kernel, at the moment when it does (connect(2)).
//
// A server that forks for each request (in.tftpd) turns the socket of the child to the client before it answers. The child of a short transfer has gone
// before its packets are read from the ring; the kernel noted it all the same. So the packets of a transfer get the process that sent them, and by that
// the lines of its log and its files: exactly, not by the order in which things were written down.
//
//	connect(2) --program at the root of the control groups--> ring buffer --Drain--> Dial
//
// It promises that the program changes nothing and delays nobody: it copies 40 bytes and lets every call through, and it goes when the process that opened
// it ends. It needs root, a mounted cgroup2 and Linux 6.10, where such a program may ask for the process; Open says which of it is missing. What the
// ring has no room for is counted (Lost): packets of that time are paired by order, as without it.
package dial
