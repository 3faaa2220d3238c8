// Package udp is the thin socket layer below the TFTP server: Linux datagram
// sockets with the few system calls a file server needs, and nothing else.
//
//	request port   Listen ── Inbox.Receive (recvmmsg, asked address by PKTINFO)
//	one transfer   Open ──── Socket.Receive, Inbox.Receive (recvmmsg, UDP_GRO)
//	               └──────── Socket.Send, Outbox.Flush (UDP_SEGMENT, sendmmsg, sendmsg)
//	client gone    Socket.Fault (the error queue: ICMP port unreachable)
//	many sockets   Poll (epoll and a wake-up)
//
// It promises that no call allocates once its Inbox, Outbox or Poll exists, that
// sending many equal packets costs one system call where the kernel and the
// device can segment and falls back by itself where they cannot, and that a
// reply leaves from the address that was asked.
//
// Calls that never wait use raw system calls, which the scheduler does not hear
// of: a goroutine that lives on them keeps its processor until it waits in
// Poll.Wait or Socket.ReceiveWait. None of the types is safe for use by two goroutines at
// once, except Poll.Wake.
//
// What the bytes mean, who is answered and when, it leaves to others.
package udp
