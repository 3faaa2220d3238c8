package format_test

import "testing"

func TestLinesOfTftpdHpa(t *testing.T) {
	script(t, "tftpd-hpa", `
Nov 27 00:53:23 in.tftpd[1507]: remap: input: f
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1507]: remap: done
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1507]: RRQ from 127.0.0.1 filename f
= request tftp op=get peer=127.0.0.1:0 pid=1507 name="f" began=0s
Nov 27 00:53:23 in.tftpd[1509]: remap: input: al2
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1509]: remap: rule 1: rewrite: f
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1509]: RRQ from 127.0.0.1 filename al2 remapped to f
= request tftp op=get peer=127.0.0.1:0 pid=1509 name="al2" path="f" began=0s
Nov 27 00:53:23 in.tftpd[1511]: remap: input: bad
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1511]: remap: rule 2: abort: bad
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1511]: sending NAK (2, Access denied) to 127.0.0.1
= refusal tftp peer=127.0.0.1:0 pid=1511 name="bad" reason=remap-denied details={"code":2}
Nov 27 00:53:23 in.tftpd[1512]: remap: input: m2
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1512]: remap: rule 1: exit
~ waits for the lines that follow
Nov 27 00:53:23 in.tftpd[1512]: RRQ from 127.0.0.1 filename m2
= request tftp op=get peer=127.0.0.1:0 pid=1512 name="m2" began=0s
Nov 27 00:53:24 in.tftpd[1512]: sending NAK (1, File not found) to 127.0.0.1
= refusal tftp op=get peer=127.0.0.1:0 pid=1512 name="m2" reason=remap-denied began=1s details={"code":1}
Nov 27 00:53:23 in.tftpd[20]: RRQ from ::1 filename a remapped to b
= request tftp op=get peer=[::1]:0 pid=20 name="a" path="b" began=0s details={"remap":"assumed"}
Nov 27 00:53:23 in.tftpd[21]: RRQ from 10.0.0.7 filename a remapped to b remapped to c
= request tftp op=get peer=10.0.0.7:0 pid=21 name="a remapped to b remapped to c" began=0s details={"remap":"ambiguous"}
Nov 27 00:53:23 in.tftpd[22]: RRQ from 10.0.0.7 filename ends in spaces  
= request tftp op=get peer=10.0.0.7:0 pid=22 name="ends in spaces  " began=0s
Nov 27 00:53:23 in.tftpd[23]: WRQ from 10.0.0.7 filename up
= request tftp op=put peer=10.0.0.7:0 pid=23 name="up" began=0s
Nov 27 00:53:25 in.tftpd[23]: tftpd: read: Connection refused
= closed tftp op=put peer=10.0.0.7:0 pid=23 name="up" reason=client-gone began=2s
Nov 27 00:53:26 in.tftpd[22]: tftpd: read(ack): Connection refused
= closed tftp op=get peer=10.0.0.7:0 pid=22 name="ends in spaces  " reason=client-gone began=3s
Nov 27 00:53:26 in.tftpd[24]: RRQ from 10.0.0.7 filename probe
= request tftp op=get peer=10.0.0.7:0 pid=24 name="probe" began=0s
Nov 27 00:53:26 in.tftpd[24]: tftp: client does not accept options
= closed tftp op=get peer=10.0.0.7:0 pid=24 name="probe" reason=size-probe began=0s
Nov 27 00:53:26 in.tftpd[25]: RRQ from 10.0.0.7 filename secret
= request tftp op=get peer=10.0.0.7:0 pid=25 name="secret" began=0s
Nov 27 00:53:26 in.tftpd[25]: sending NAK (0, Permission denied) to 10.0.0.7
= refusal tftp op=get peer=10.0.0.7:0 pid=25 name="secret" reason=not-readable began=0s details={"code":0}
Nov 27 00:53:26 in.tftpd[26]: WRQ from 10.0.0.7 filename secret
= request tftp op=put peer=10.0.0.7:0 pid=26 name="secret" began=0s
Nov 27 00:53:26 in.tftpd[26]: sending NAK (0, Permission denied) to 10.0.0.7
= refusal tftp op=put peer=10.0.0.7:0 pid=26 name="secret" reason=not-writable began=0s details={"code":0}
Nov 27 00:53:26 in.tftpd[27]: RRQ from 10.0.0.7 filename r7
= request tftp op=get peer=10.0.0.7:0 pid=27 name="r7" began=0s
Nov 27 00:53:26 in.tftpd[27]: sending NAK (2, File must have global read permissions) to 10.0.0.7
= refusal tftp op=get peer=10.0.0.7:0 pid=27 name="r7" reason=not-readable began=0s details={"code":2}
Nov 27 00:53:26 in.tftpd[28]: sending NAK (4, Unknown mode) to 10.0.0.7
= refusal tftp peer=10.0.0.7:0 pid=28 reason=bad-request details={"code":4}
Nov 27 00:53:26 in.tftpd[29]: sending NAK (8, Unsupported option(s) requested) to 10.0.0.7
= refusal tftp peer=10.0.0.7:0 pid=29 reason=bad-request details={"code":8}
Nov 27 00:53:26 in.tftpd[30]: RRQ from 10.0.0.7 filename d
= request tftp op=get peer=10.0.0.7:0 pid=30 name="d" began=0s
Nov 27 00:53:26 in.tftpd[30]: sending NAK (0, Is a directory) to 10.0.0.7
= refusal tftp op=get peer=10.0.0.7:0 pid=30 name="d" reason=not-readable began=0s details={"code":0}
Nov 27 00:53:26 in.tftpd[31]: WRQ from 10.0.0.7 filename full
= request tftp op=put peer=10.0.0.7:0 pid=31 name="full" began=0s
Nov 27 00:53:29 in.tftpd[31]: sending NAK (3, Disk full or allocation exceeded) to 10.0.0.7
= closed tftp op=put peer=10.0.0.7:0 pid=31 name="full" reason=disk-full began=3s details={"code":3}
Nov 27 00:53:29 in.tftpd[31]: nak: Connection refused
~ says again what was told
Nov 27 00:53:29 in.tftpd[32]: nak: Connection refused
= refusal tftp pid=32
Nov 27 00:53:29 in.tftpd[33]: connection refused from 192.0.2.69
= refusal tftp self=192.0.2.69:0 pid=33 reason=policy
Nov 27 00:53:29 in.tftpd[34]: tftpd: oack: Connection refused
= closed tftp pid=34 reason=client-gone
Nov 27 00:53:29 in.tftpd[35]: tftpd: write: No space left on device
= closed tftp pid=35 reason=disk-full
Nov 27 00:53:29 in.tftpd[9]: Cannot open map file: /etc/map: No such file or directory
~ about the server itself
Nov 27 00:53:29 in.tftpd[9]: recvfrom: Bad file descriptor
~ about the server itself
Nov 27 00:53:29 in.tftpd[9]: something new
! a message that this format does not know
Nov 27 00:53:29 in.tftpd[9]: RRQ from nowhere filename x
! the client is no address
Nov 27 00:53:29 in.tftpd[9]: sending NAK (x, y) to 10.0.0.7
! a number that is none
RRQ from 1.2.3.4 filename forged
! no time and tag at the start of the line
`)
}
