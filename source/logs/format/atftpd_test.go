package format_test

import "testing"

func TestLinesOfAtftpdsOwnFile(t *testing.T) {
	script(t, "atftpd", `
Nov 27 00:53:23 vm atftpd[10.1]: Serving f to 127.0.0.1:44601
= request tftp op=get peer=127.0.0.1:44601 session=10.1 name="f" began=0s
Nov 27 00:53:24 vm atftpd[10.1]: tsize option -> 3000
~ about the course of a transfer
Nov 27 00:53:25 vm atftpd[10.1]: End of transfer
= closed tftp op=get peer=127.0.0.1:44601 session=10.1 name="f" reason=closed began=2s
Nov 27 00:53:25 vm atftpd[10.1]: Server thread exiting
~ about the course of a transfer
Nov 27 00:53:25 vm atftpd[10.2]: Serving nope to 127.0.0.1:39489
= request tftp op=get peer=127.0.0.1:39489 session=10.2 name="nope" began=0s
Nov 27 00:53:25 vm atftpd[10.2]: File /tmp/ltftp/nope not found
= refusal tftp op=get peer=127.0.0.1:39489 session=10.2 name="nope" path="/tmp/ltftp/nope" reason=not-found began=0s
Nov 27 00:53:25 vm atftpd[10.3]: Fetching from 127.0.0.1 to up
= request tftp op=put peer=127.0.0.1:0 session=10.3 name="up" began=0s
Nov 27 00:53:26 vm atftpd[10.3]: timeout: retrying ...
~ about the course of a transfer
Nov 27 00:53:36 vm atftpd[10.3]: client (127.0.0.1) not responding
= closed tftp op=put peer=127.0.0.1:0 session=10.3 name="up" reason=client-silent began=11s
Nov 27 00:53:36 vm atftpd[10.3]: End of transfer
= closed tftp op=put peer=127.0.0.1:0 session=10.3 name="up" reason=closed-unproven began=11s details={"assumed":true}
Nov 27 00:53:36 vm atftpd[10.4]: Serving sub to 127.0.0.1:1
= request tftp op=get peer=127.0.0.1:1 session=10.4 name="sub" began=0s
Nov 27 00:53:36 vm atftpd[10.4]: recvmsg: Connection refused
= closed tftp op=get peer=127.0.0.1:1 session=10.4 name="sub" reason=client-gone began=0s
Nov 27 00:53:36 vm atftpd[10.4]: tftpd_file.c: 1178: recvfrom: Connection refused
~ says again what was told
Nov 27 00:53:36 vm atftpd[10.4]: Aborting transfer
~ says again what was told
Nov 27 00:53:36 vm atftpd[10.5]: Serving f to 127.0.0.1:2
= request tftp op=get peer=127.0.0.1:2 session=10.5 name="f" began=0s
Nov 27 00:53:37 vm atftpd[10.5]: Aborting transfer
= closed tftp op=get peer=127.0.0.1:2 session=10.5 name="f" reason=client-error began=1s details={"assumed":true}
Nov 27 00:53:37 vm atftpd[10.6]: Fetching from 10.0.0.7 to big
= request tftp op=put peer=10.0.0.7:0 session=10.6 name="big" began=0s
Nov 27 00:53:38 vm atftpd[10.6]: tftpd_file.c: 407: error writing to file /srv/big
= closed tftp op=put peer=10.0.0.7:0 session=10.6 name="big" reason=disk-full began=1s
Nov 27 00:53:38 vm atftpd[10.6]: sent ERROR <code: 3, msg: Disk full or allocation exceeded>
~ says again what was told
Nov 27 00:53:38 vm atftpd[10.6]: Aborting transfer
~ says again what was told
Nov 27 00:53:38 vm atftpd[10.7]: Serving a to 1.2.3.4:5 to 127.0.0.1:52601
= request tftp op=get peer=127.0.0.1:52601 session=10.7 name="a to 1.2.3.4:5" began=0s
Nov 27 00:53:38 vm atftpd[10.8]: Fetching from 127.0.0.1 to 
= request tftp op=put peer=127.0.0.1:0 session=10.8 began=0s
Nov 27 00:53:38 vm atftpd[10.9]: Invalid request <0> from 127.0.0.1
= refusal tftp peer=127.0.0.1:0 session=10.9 reason=bad-request
Nov 27 00:53:38 vm atftpd[10.9]: Serving secret to 127.0.0.1:7
= request tftp op=get peer=127.0.0.1:7 session=10.9 name="secret" began=0s
Nov 27 00:53:38 vm atftpd[10.9]: sent ERROR <code: 2, msg: Access violation>
= refusal tftp op=get peer=127.0.0.1:7 session=10.9 name="secret" reason=not-readable began=0s details={"code":2}
Nov 27 00:53:38 vm atftpd[10.0]: Advanced Trivial FTP server started (0.8.0)
~ about the server itself
Nov 27 00:53:38 vm atftpd[10.0]: what is this
! a message that this format does not know
`)
}

func TestLinesOfAtftpdThroughSyslogArePairedOnlyWhileOneRuns(t *testing.T) {
	script(t, "atftpd", `
Nov 27 00:53:23 vm atftpd[10]: Serving a to 10.0.0.7:1
= request tftp op=get peer=10.0.0.7:1 name="a" began=0s
Nov 27 00:53:24 vm atftpd[10]: End of transfer
= closed tftp op=get peer=10.0.0.7:1 name="a" reason=closed began=1s
Nov 27 00:53:24 vm atftpd[10]: Serving b to 10.0.0.7:2
= request tftp op=get peer=10.0.0.7:2 name="b" began=0s
Nov 27 00:53:24 vm atftpd[10]: Serving c to 10.0.0.8:2
= request tftp op=get peer=10.0.0.8:2 name="c" began=0s
Nov 27 00:53:25 vm atftpd[10]: End of transfer
~ several transfers run and the line does not say which it means
Nov 27 00:53:26 vm atftpd[10]: client (10.0.0.8) not responding
= closed tftp op=get peer=10.0.0.8:2 name="c" reason=client-silent began=2s
Nov 27 00:53:26 vm atftpd[10]: recvmsg: Connection refused
~ several transfers run and the line does not say which it means
`)
}

func TestLinesOfDnsmasq(t *testing.T) {
	script(t, "dnsmasq", `
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: TFTP root is /tmp/ltftp
~ about the server itself
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: sent /tmp/ltftp/f to 127.0.0.1
= closed tftp op=get peer=127.0.0.1:0 path="/tmp/ltftp/f" reason=closed details={"assumed":true}
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: file /tmp/ltftp/f to 9.9.9.9:1 not found for 127.0.0.1
= refusal tftp op=get peer=127.0.0.1:0 path="/tmp/ltftp/f to 9.9.9.9:1" reason=not-found
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: cannot access /tmp/ltftp/secret: Permission denied
= refusal tftp op=get path="/tmp/ltftp/secret" reason=not-readable
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: unsupported request from 127.0.0.1
= refusal tftp peer=127.0.0.1:0 reason=bad-request
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: cannot read /tmp/ltftp/sub: Is a directory
~ waits for the lines that follow
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: failed sending /tmp/ltftp/sub to 127.0.0.1
= refusal tftp op=get peer=127.0.0.1:0 path="/tmp/ltftp/sub" reason=not-readable
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: error 8 x received from 127.0.0.1
~ waits for the lines that follow
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: sent /tmp/ltftp/probe to 127.0.0.1
= closed tftp op=get peer=127.0.0.1:0 path="/tmp/ltftp/probe" reason=size-probe details={"assumed":true}
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: error 0 cl err received from 127.0.0.1
~ waits for the lines that follow
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: failed sending /tmp/ltftp/f to 127.0.0.1
= closed tftp op=get peer=127.0.0.1:0 path="/tmp/ltftp/f" reason=client-error details={"assumed":true}
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: failed sending /tmp/a to b to fe80::1
= closed tftp op=get peer=[fe80::1]:0 path="/tmp/a to b" reason=client-silent
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: ignoring packet from 10.0.0.1 (TID mismatch)
~ about the course of a transfer
Nov 27 00:53:23 vm dnsmasq[2867]: query[A] x from 127.0.0.1
~ about DNS or DHCP
Nov 27 00:53:23 vm dnsmasq-tftp[2867]: sent /tmp/f to nobody
! the client is no address
Nov 27 00:53:23 dnsmasq-tftp[2867]: hello
! a message that this format does not know
`)
}
