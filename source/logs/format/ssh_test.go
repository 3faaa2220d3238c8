package format_test

import "testing"

func TestLinesOfSFTPServer(t *testing.T) {
	script(t, "sftp-server", `
Nov 27 00:55:10 vm internal-sftp[9]: session opened for local user lu from [127.0.0.1]
~ about the course of a session
Nov 27 00:55:10 vm internal-sftp[9]: sent status No such file
~ about the course of a transfer
Nov 27 00:55:10 vm internal-sftp[9]: open "/home/na me"q" flags WRITE,CREATE,TRUNCATE mode 0644
= request sftp op=put peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/na me\"q" path="/home/na me\"q" began=0s details={"flags":"WRITE,CREATE,TRUNCATE"}
Nov 27 00:55:12 vm internal-sftp[9]: close "/home/na me"q" bytes read 0 written 100000
= closed sftp op=put peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/na me\"q" path="/home/na me\"q" moved=100000 reason=closed began=2s
Nov 27 00:55:12 vm internal-sftp[9]: open "/home/e\303\244\n\033" flags READ mode 0666
= request sftp op=get peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/eä\n\x1b" path="/home/eä\n\x1b" began=0s details={"flags":"READ"}
Nov 27 00:55:12 vm internal-sftp[9]: forced close "/home/e\303\244\n\033" bytes read 783360 written 0
= closed sftp op=get peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/eä\n\x1b" path="/home/eä\n\x1b" moved=783360 reason=client-gone began=0s
Nov 27 00:55:12 vm internal-sftp[9]: open "/x" flags READ mode 0666" flags WRITE,APPEND mode 0644
= request sftp op=append peer=127.0.0.1:0 user=lu session=9 pid=9 name="/x\" flags READ mode 0666" path="/x\" flags READ mode 0666" began=0s details={"flags":"WRITE,APPEND"}
Nov 27 00:55:12 vm internal-sftp[9]: sent status Permission denied
= refusal sftp op=append peer=127.0.0.1:0 user=lu session=9 pid=9 name="/x\" flags READ mode 0666" path="/x\" flags READ mode 0666" reason=not-writable began=0s details={"assumed":true}
Nov 27 00:55:12 vm internal-sftp[9]: close "/late" bytes read 0 written 5
= closed sftp op=put peer=127.0.0.1:0 user=lu session=9 pid=9 name="/late" path="/late" moved=5 reason=closed
Nov 27 00:55:13 vm internal-sftp[9]: remove name "/home/up1"
~ waits for the lines that follow
Nov 27 00:55:13 vm internal-sftp[9]: remove name "/home/nope"
= closed sftp op=delete peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/up1" path="/home/up1" reason=closed details={"assumed":true}
~ waits for the lines that follow
Nov 27 00:55:13 vm internal-sftp[9]: sent status No such file
= command-refused sftp op=delete peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/nope" path="/home/nope" reason=not-found details={"assumed":true}
Nov 27 00:55:13 vm internal-sftp[9]: mkdir name "/home/d" mode 0777
~ waits for the lines that follow
Nov 27 00:55:13 vm internal-sftp[9]: posix-rename old "/a" new "/b"
= closed sftp op=mkdir peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home/d" path="/home/d" reason=closed details={"assumed":true}
~ waits for the lines that follow
Nov 27 00:55:13 vm internal-sftp[9]: opendir "/home"
= closed sftp op=rename peer=127.0.0.1:0 user=lu session=9 pid=9 name="/a" path="/b" from="/a" reason=closed details={"assumed":true}
= request sftp op=list peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home" path="/home" began=0s
Nov 27 00:55:14 vm internal-sftp[9]: closedir "/home"
= closed sftp op=list peer=127.0.0.1:0 user=lu session=9 pid=9 name="/home" path="/home" reason=closed began=1s
Nov 27 00:55:14 vm internal-sftp[9]: set "/a" modtime 20261127-00:00:00
~ waits for the lines that follow
Nov 27 00:55:14 vm internal-sftp[9]: session closed for local user lu from [127.0.0.1]
= closed sftp op=attrib peer=127.0.0.1:0 user=lu session=9 pid=9 name="/a" path="/a" reason=closed details={"assumed":true}
~ about the course of a session
Nov 27 00:55:14 vm internal-sftp[9]: open "/home/bad\q" flags READ mode 0666
! a message that this format does not know
Nov 27 00:55:14 vm internal-sftp[9]: whatever
! a message that this format does not know
`)
}

// What Debian's internal-sftp wrote when its disk was full: the client closes the file in order, and all the same it is not whole. The first write that was
// cut short has no line that names it.
func TestWritesThatFailedAreNotClosedWell(t *testing.T) {
	script(t, "sftp-server", `
2026-11-27T06:07:43.297300+00:00 vm internal-sftp[9]: open "/srv/full" flags WRITE,CREATE,TRUNCATE mode 0600
= request sftp op=put session=9 pid=9 name="/srv/full" path="/srv/full" began=0s details={"flags":"WRITE,CREATE,TRUNCATE"}
2026-11-27T06:07:43.607953+00:00 vm internal-sftp[9]: sent status Failure
~ about the course of a transfer
2026-11-27T06:07:43.608153+00:00 vm internal-sftp[9]: error: process_write: write "/srv/full": No space left on device
~ about the course of a transfer
2026-11-27T06:07:43.608176+00:00 vm internal-sftp[9]: sent status Failure
~ about the course of a transfer
2026-11-27T06:07:43.610192+00:00 vm internal-sftp[9]: close "/srv/full" bytes read 0 written 1044480
= closed sftp op=put session=9 pid=9 name="/srv/full" path="/srv/full" moved=1044480 reason=disk-full began=312.892ms
2026-11-27T06:07:44.000000+00:00 vm internal-sftp[9]: open "/srv/short" flags WRITE,CREATE,TRUNCATE mode 0600
= request sftp op=put session=9 pid=9 name="/srv/short" path="/srv/short" began=0s details={"flags":"WRITE,CREATE,TRUNCATE"}
2026-11-27T06:07:45.000000+00:00 vm internal-sftp[9]: sent status Failure
~ about the course of a transfer
2026-11-27T06:07:45.000001+00:00 vm internal-sftp[9]: close "/srv/short" bytes read 0 written 5
= closed sftp op=put session=9 pid=9 name="/srv/short" path="/srv/short" moved=5 reason=closed began=1.000001s details={"assumed":true}
2026-11-27T06:07:46.000000+00:00 vm internal-sftp[9]: error: process_read: read "/srv/unseen": Input/output error
~ about the course of a transfer
2026-11-27T06:07:46.000001+00:00 vm internal-sftp[9]: forced close "/srv/unseen" bytes read 4096 written 0
= closed sftp op=get session=9 pid=9 name="/srv/unseen" path="/srv/unseen" moved=4096 reason=io-error
2026-11-27T06:07:46.000002+00:00 vm internal-sftp[9]: error: process_write: fork "/srv/x": No
! a message that this format does not know
2026-11-27T06:07:46.000003+00:00 vm internal-sftp[9]: error: something else
! a message that this format does not know
`)
}

// The answer to a request that is not logged, such as stat, is no refusal of the file that was opened before.
func TestALateStatusIsNoAnswerToTheOpen(t *testing.T) {
	script(t, "sftp-server", `
2026-11-27T06:07:44.000000+00:00 vm sftp-server[9]: open "/srv/a" flags READ mode 0666
= request sftp op=get session=9 pid=9 name="/srv/a" path="/srv/a" began=0s details={"flags":"READ"}
2026-11-27T06:07:44.000100+00:00 vm sftp-server[9]: sent status Permission denied
= refusal sftp op=get session=9 pid=9 name="/srv/a" path="/srv/a" reason=not-readable began=100µs details={"assumed":true}
2026-11-27T06:07:45.000000+00:00 vm sftp-server[9]: open "/srv/b" flags READ mode 0666
= request sftp op=get session=9 pid=9 name="/srv/b" path="/srv/b" began=0s details={"flags":"READ"}
2026-11-27T06:07:45.300000+00:00 vm sftp-server[9]: sent status No such file
~ about the course of a transfer
2026-11-27T06:07:46.000000+00:00 vm sftp-server[9]: close "/srv/b" bytes read 5 written 0
= closed sftp op=get session=9 pid=9 name="/srv/b" path="/srv/b" moved=5 reason=closed began=1s
2026-11-27T06:07:46.000000+00:00 vm sftp-server[9]: mkdir name "/srv/d" mode 0777
~ waits for the lines that follow
2026-11-27T06:07:46.000100+00:00 vm sftp-server[9]: sent status Success
= closed sftp op=mkdir session=9 pid=9 name="/srv/d" path="/srv/d" reason=closed
2026-11-27T06:07:46.000200+00:00 vm sftp-server[9]: sent status Success
~ about the course of a transfer
`)
}

// sshd and its sftp server are two processes, and have user and client in common. A user with two sessions could be either.
func TestAClientThatSSHDGaveUpWasSilent(t *testing.T) {
	script(t, "syslog", `
2026-11-27T06:07:40.000000+00:00 vm internal-sftp[9]: session opened for local user lu from [10.0.0.7]
~ about the course of a session
2026-11-27T06:07:40.000000+00:00 vm internal-sftp[9]: open "/srv/a" flags READ mode 0666
= request sftp op=get peer=10.0.0.7:0 user=lu session=9 pid=9 name="/srv/a" path="/srv/a" began=0s details={"flags":"READ"}
2026-11-27T06:07:49.838297+00:00 vm sshd[8]: Timeout, client not responding from user lu 10.0.0.7 port 48894
~ about the course of a session
2026-11-27T06:07:49.839593+00:00 vm internal-sftp[9]: forced close "/srv/a" bytes read 5 written 0
= closed sftp op=get peer=10.0.0.7:0 user=lu session=9 pid=9 name="/srv/a" path="/srv/a" moved=5 reason=client-silent began=9.839593s
2026-11-27T06:07:49.839632+00:00 vm internal-sftp[9]: session closed for local user lu from [10.0.0.7]
~ about the course of a session
2026-11-27T06:08:00.000000+00:00 vm internal-sftp[10]: session opened for local user lu from [10.0.0.7]
~ about the course of a session
2026-11-27T06:08:00.000000+00:00 vm internal-sftp[11]: session opened for local user lu from [10.0.0.7]
~ about the course of a session
2026-11-27T06:08:09.000000+00:00 vm sshd[8]: Timeout, client not responding from user lu 10.0.0.7 port 48894
~ about the course of a session
2026-11-27T06:08:09.000001+00:00 vm internal-sftp[10]: forced close "/srv/b" bytes read 5 written 0
= closed sftp op=get peer=10.0.0.7:0 user=lu session=10 pid=10 name="/srv/b" path="/srv/b" moved=5 reason=client-gone
2026-11-27T06:08:09.000002+00:00 vm sshd[8]: Read error from remote host 10.0.0.7 port 48894: Connection timed out
~ about the course of a session
2026-11-27T06:08:09.000003+00:00 vm sshd[8]: Timeout, client not responding from nobody
! a message that this format does not know
`)
}

func TestLinesOfSSHD(t *testing.T) {
	script(t, "sshd", `
Nov 27 00:55:10 vm sshd[1]: Server listening on 127.0.0.1 port 2126.
~ about the server itself
Nov 27 00:55:10 vm sshd[2]: Accepted publickey for lu from 127.0.0.1 port 54378 ssh2: ED25519 SHA256:NO96
= login sftp peer=127.0.0.1:54378 user=lu session=2 pid=2 details={"method":"publickey"}
Nov 27 00:55:10 vm sshd[2]: Received disconnect from 127.0.0.1 port 54378:11: disconnected by user
~ about the course of a session
Nov 27 00:55:10 vm sshd[2]: Disconnected from user lu 127.0.0.1 port 54378
~ about the course of a session
Nov 27 00:55:10 vm sshd[3]: Invalid user nob from 127.0.0.1 port 54402
= login-failed sftp peer=127.0.0.1:54402 user=nob session=3 pid=3 reason=login-failed
Nov 27 00:55:10 vm sshd[3]: Connection closed by invalid user nob 127.0.0.1 port 54402 [preauth]
= login-failed sftp peer=127.0.0.1:54402 user=nob session=3 pid=3 reason=client-gone details={"repeats":true}
Nov 27 00:55:10 vm sshd[4]: Failed password for lu from 127.0.0.1 port 54410 ssh2
= login-failed sftp peer=127.0.0.1:54410 user=lu session=4 pid=4 reason=login-failed details={"method":"password"}
Nov 27 00:55:10 vm sshd[4]: Connection closed by authenticating user lu 127.0.0.1 port 54410 [preauth]
= login-failed sftp peer=127.0.0.1:54410 user=lu session=4 pid=4 reason=client-gone details={"repeats":true}
Nov 27 00:55:10 vm sshd[5]: Failed password for invalid user x from 1.2.3.4 port 5 ssh2: y from 10.10.1.2 port 55 ssh2
= login-failed sftp peer=1.2.3.4:5 user=x session=5 pid=5 reason=login-failed details={"method":"password","peer":"ambiguous"}
Nov 27 00:55:10 vm sshd[6]: Connection from 10.10.1.2 port 55 on 127.0.0.1 port 22
~ about the course of a session
Nov 27 00:55:10 vm sshd[6]: Failed password for invalid user x from 1.2.3.4 port 5 ssh2: y from 10.10.1.2 port 55 ssh2
= login-failed sftp peer=10.10.1.2:55 user=x from 1.2.3.4 port 5 ssh2: y session=6 pid=6 reason=login-failed details={"method":"password"}
Nov 27 00:55:10 vm sshd[7]: Invalid user x from 1.2.3.4 port 5 from 10.10.1.2 port 55
= login-failed sftp peer=10.10.1.2:55 user=x from 1.2.3.4 port 5 session=7 pid=7 reason=login-failed
`)
}

func TestLinesOfSFTPGo(t *testing.T) {
	script(t, "sftpgo", `
{"level":"info","time":"2026-11-20T17:42:01.500","sender":"Upload","local_addr":"127.0.0.1:2121","remote_addr":"192.0.2.1:4000","elapsed_ms":1494,"size_bytes":6291456,"username":"u","file_path":"/srv/up.bin","virtual_path":"/up.bin","connection_id":"FTP_0_207","protocol":"FTP","ftp_mode":"passive"}
= closed ftp op=put peer=192.0.2.1:4000 self=127.0.0.1:2121 user=u session=FTP_0_207 name="/up.bin" path="/srv/up.bin" moved=6291456 reason=stored began=1.494s details={"assumed":true,"ms":1494}
{"level":"error","time":"2026-11-20T17:42:01.500","sender":"Upload","remote_addr":"[2001:db8::1]:4000","elapsed_ms":1494,"size_bytes":6291456,"username":"u","file_path":"/srv/a\nb","virtual_path":"/a\nb","connection_id":"SFTP_1","protocol":"SFTP","error":"unexpected EOF"}
= closed sftp op=put peer=[2001:db8::1]:4000 user=u session=SFTP_1 name="/a\nb" path="/srv/a\nb" moved=6291456 reason=client-gone began=1.494s details={"ms":1494}
{"level":"debug","time":"2026-11-20T17:42:01.500","sender":"connection_failed","client_ip":"192.0.2.1","username":"u","login_type":"password","protocol":"SSH","error":"invalid credentials"}
= login-failed sftp peer=192.0.2.1:0 user=u reason=login-failed details={"method":"password"}
{"level":"debug","time":"2026-11-20T17:42:01.500","sender":"httpd","protocol":"HTTP","message":"x"}
~ about another protocol
{"level":"info","time":"2026-11-20T17:42:01.500","sender":"Rename","username":"u","file_path":"/srv/a","target_path":"/srv/b","connection_id":"x","protocol":"SFTP"}
= closed sftp op=rename user=u session=x path="/srv/b" from="/srv/a" reason=closed
{"level":"info","time":"2026-11-20T17:42:01.500","sender":"FTP","message":"x","protocol":"FTP"}
~ about the course of a session
{"level":"info","time":"2026-11-20T17:42:01.500","sender":"FTP","connection_id":"FTP_0_13","message":"User \"bob\" logged in with \"password\" from ip \"192.0.2.1\", TLS enabled? false"}
= login ftp peer=192.0.2.1:0 user=bob session=FTP_0_13 details={"method":"password"}
{"level":"info","time":"2026-11-20T17:42:01.500","sender":"SSH","connection_id":"34e4","message":"User \"a\\\" from ip \\\"1.2.3.4\" logged in with \"keyboard-interactive\", from ip \"2001:db8::1\", client version \"SSH-2.0-x\""}
= login sftp peer=[2001:db8::1]:0 user=a" from ip "1.2.3.4 session=34e4 details={"method":"keyboard-interactive"}
{"sender":"Upload"}
! not a line of this format
not json
! not a line of this format
`)
}

func TestLinesOfOldDaemons(t *testing.T) {
	script(t, "ftpd", `
Oct  6 09:59:26 vm wu-ftpd[1]: failed login from hj-145.bta.net.cn [202.108.145.173]
= login-failed ftp peer=202.108.145.173:0 session=1 pid=1 reason=login-failed
Oct  6 09:59:26 vm wu-ftpd[2]: pam_unix(wu-ftpd:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=198.51.100.71  user=root
= login-failed ftp peer=198.51.100.71:0 user=root session=2 pid=2 reason=login-failed
Oct  6 09:59:26 vm ftpd[3]: repeated login failures from 198.51.100.23 (example.com)
= login-failed ftp peer=198.51.100.23:0 session=3 pid=3 reason=login-failed
Oct  6 09:59:26 vm ftpd[4]: FTP LOGIN FROM host.example [192.0.2.1], bob
= login ftp peer=192.0.2.1:0 user=bob session=4 pid=4
Oct  6 09:59:26 vm ftpd[5]: FTP LOGIN REFUSED (bad shell) FROM host.example [192.0.2.1], bob
= login-failed ftp peer=192.0.2.1:0 user=bob session=5 pid=5 reason=login-failed
Oct  6 09:59:26 vm ftpd[6]: failed login from a b [192.0.2.1]
! the client is no address
Oct  6 09:59:26 vm ftpd[7]: FTP session closed
~ about the course of a session
`)
}
