package format_test

import "testing"

func TestLinesOfVsftpd(t *testing.T) {
	script(t, "vsftpd", `
Fri Nov 27 00:55:01 2026 [pid 16050] CONNECT: Client "127.0.0.1"
~ about the course of a session
Fri Nov 27 00:55:01 2026 [pid 16050] FTP response: Client "127.0.0.1", "220 (vsFTPd 3.0.3)"
~ about the course of a session
Fri Nov 27 00:55:01 2026 [pid 16050] [lu] FTP command: Client "127.0.0.1", "PASS <password>"
~ about the course of a session
Fri Nov 27 00:55:01 2026 [pid 16049] [lu] OK LOGIN: Client "127.0.0.1"
= login ftp peer=127.0.0.1:0 user=lu session=16049 pid=16049
Fri Nov 27 00:55:01 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "230 Login successful."
~ about the course of a session
Fri Nov 27 00:55:02 2026 [pid 16051] [lu] FTP command: Client "127.0.0.1", "STOR up a.bin"
= request ftp op=put peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="up a.bin" began=0s
Fri Nov 27 00:55:02 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "150 Ok to send data."
~ about the course of a transfer
Fri Nov 27 00:55:04 2026 [pid 16051] [lu] OK UPLOAD: Client "127.0.0.1", "/srv/up a.bin", 3000000 bytes, 1601797.43Kbyte/sec
= closed ftp op=put peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="up a.bin" path="/srv/up a.bin" moved=3000000 reason=stored began=2s details={"assumed":true}
Fri Nov 27 00:55:04 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "226 Transfer complete."
~ about the course of a session
Fri Nov 27 00:55:05 2026 [pid 16051] [lu] FTP command: Client "127.0.0.1", "APPE up a.bin"
= request ftp op=append peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="up a.bin" began=0s
Fri Nov 27 00:55:05 2026 [pid 16051] [lu] OK UPLOAD: Client "127.0.0.1", "/srv/up a.bin", 0.00Kbyte/sec
= closed ftp op=append peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="up a.bin" path="/srv/up a.bin" moved=0 reason=stored began=0s details={"assumed":true}
Fri Nov 27 00:55:06 2026 [pid 16051] [lu] FTP command: Client "127.0.0.1", "RETR nope"
= request ftp op=get peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="nope" began=0s
Fri Nov 27 00:55:06 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "550 Failed to open file."
= refusal ftp op=get peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="nope" reason=not-allowed began=0s details={"code":550,"command":"RETR"}
Fri Nov 27 00:55:06 2026 [pid 16051] [lu] FAIL DOWNLOAD: Client "127.0.0.1", "/srv/nope", 0.00Kbyte/sec
= refusal ftp op=get peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="nope" path="/srv/nope" reason=not-allowed began=0s
Fri Nov 27 00:55:06 2026 [pid 16051] [lu] FTP command: Client "127.0.0.1", "RETR big"
= request ftp op=get peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="big" began=0s
Fri Nov 27 00:55:06 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "150 Opening BINARY mode data connection for big (3000000 bytes)."
~ about the course of a transfer
Fri Nov 27 00:55:07 2026 [pid 16051] [lu] FAIL DOWNLOAD: Client "127.0.0.1", "/srv/big", 65536 bytes, 44599.30Kbyte/sec
= closed ftp op=get peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="big" path="/srv/big" moved=65536 reason=client-gone began=1s details={"assumed":true}
Fri Nov 27 00:55:07 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "426 Failure writing network stream."
= closed ftp op=get peer=127.0.0.1:0 user=lu session=16051 pid=16051 name="big" reason=client-gone began=1s details={"code":426,"command":"RETR"}
Fri Nov 27 00:55:07 2026 [pid 16051] [lu] FTP command: Client "127.0.0.1", "PORT 10,9,9,9,5,5"
~ about the course of a session
Fri Nov 27 00:55:07 2026 [pid 16051] [lu] FTP response: Client "127.0.0.1", "500 Illegal PORT command."
= command-refused ftp peer=127.0.0.1:0 user=lu session=16051 pid=16051 reason=bounce details={"argument":"10,9,9,9,5,5","code":500,"command":"PORT"}
Fri Nov 27 00:55:08 2026 [pid 9865] FTP command: Client "127.0.0.1", "STOR x"
= request ftp op=put peer=127.0.0.1:0 session=9865 pid=9865 name="x" began=0s
Fri Nov 27 00:55:08 2026 [pid 9865] FTP response: Client "127.0.0.1", "530 Please login with USER and PASS."
= refusal ftp op=put peer=127.0.0.1:0 session=9865 pid=9865 name="x" reason=not-allowed began=0s details={"code":530,"command":"STOR"}
Fri Nov 27 00:55:08 2026 [pid 16086] [lu] FAIL LOGIN: Client "127.0.0.1"
= login-failed ftp peer=127.0.0.1:0 user=lu session=16086 pid=16086 reason=login-failed
Fri Nov 27 00:55:09 2026 [pid 16087] [lu] FTP response: Client "127.0.0.1", "530 Login incorrect."
~ says again what was told
Fri Nov 27 00:55:09 2026 [pid 16087] [lu] FTP response: Client "1.2.3.4", "530 Permission denied."
= login-failed ftp peer=1.2.3.4:0 user=lu session=16087 pid=16087 reason=login-failed details={"code":530}
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK UPLOAD: Client "::ffff:192.0.2.1", "/q"u, 5 bytes, "ote", 3 bytes, 14.87Kbyte/sec
= closed ftp op=put peer=192.0.2.1:0 user=lu session=1 pid=1 path="/q\"u, 5 bytes, \"ote" moved=3 reason=stored details={"assumed":true}
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK UPLOAD: Client "192.0.2.1", "/e\e[31m\xff", 3 bytes, 14.87Kbyte/sec
= closed ftp op=put peer=192.0.2.1:0 user=lu session=1 pid=1 path="/e\x1b[31m\xff" moved=3 reason=stored details={"assumed":true}
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK MKDIR: Client "192.0.2.1", "/d1"
= closed ftp op=mkdir peer=192.0.2.1:0 user=lu session=1 pid=1 path="/d1" reason=closed
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK RENAME: Client "192.0.2.1", "/a /b"
= closed ftp op=rename peer=192.0.2.1:0 user=lu session=1 pid=1 path="/b" from="/a" reason=closed
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK RENAME: Client "192.0.2.1", "/a /em pty"
= closed ftp op=rename peer=192.0.2.1:0 user=lu session=1 pid=1 name="/a /em pty" reason=closed details={"name":"ambiguous"}
Fri Nov 27 00:55:09 2026 [pid 1] [lu] FAIL DELETE: Client "192.0.2.1", "/nonex"
= command-refused ftp op=delete peer=192.0.2.1:0 user=lu session=1 pid=1 path="/nonex" reason=not-allowed
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK CHMOD: Client "192.0.2.1", "/up a.bin 600"
= closed ftp op=attrib peer=192.0.2.1:0 user=lu session=1 pid=1 path="/up a.bin" reason=closed
Fri Nov 27 00:55:09 2026 [pid 1] [lu] FAIL DOWNLOAD: Client "192.0.2.1", "/x", 0.00Kbyte/sec
= refusal ftp op=get peer=192.0.2.1:0 user=lu session=1 pid=1 path="/x" reason=not-allowed details={"assumed":true}
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK UPLOAD: Client "192.0.2.1", "/x", 3 bites, 14.87Kbyte/sec
! a number that is none
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK DANCE: Client "192.0.2.1", "/x"
! a message that this format does not know
Fri Nov 27 00:55:09 2026 [pid 1] [lu] OK UPLOAD: Client "nobody", "/x"
! the client is no address
Nov 27 00:55:09 vm vsftpd[9870]: [lu] OK UPLOAD: Client "127.0.0.1", "/srv/up a.bin", 3000000 bytes, 668878.42Kbyte/sec
= closed ftp op=put peer=127.0.0.1:0 user=lu session=9870 pid=9870 path="/srv/up a.bin" moved=3000000 reason=stored details={"assumed":true}
Nov 27 00:55:09 vm vsftpd: pam_unix(login:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=lu rhost=127.0.0.1  user=lu
= login-failed ftp peer=127.0.0.1:0 user=lu reason=login-failed details={"via":"pam"}
Nov 27 00:55:09 vm vsftpd: pam_unix(login:auth): check pass; user unknown
~ about the course of a session
Nov 27 00:55:09 vm kernel: x
~ no format reads lines of this tag
OK UPLOAD: Client "192.0.2.1", "/forged"
! no time and tag at the start of the line
`)
}

func TestLinesOfXferlog(t *testing.T) {
	script(t, "xferlog", `
Fri Nov 20 17:42:01 2026 2 192.0.2.1 6291456 /up.bin b _ i r u ftp 0 * c
= closed ftp op=put peer=192.0.2.1:0 user=u path="/up.bin" moved=6291456 reason=stored details={"assumed":true,"seconds":2}
Fri Nov 27 00:55:17 2026 0 localhost 3000000 /srv/up_a.bin b _ o r lu ftp 0 * i
= closed ftp op=get user=lu path="/srv/up_a.bin" moved=3000000 reason=truncated details={"client":"localhost","seconds":0}
Fri Nov 27 00:55:20 2026 0 localhost 0 /srv/em_pty a _ d r lu ftp 0 * c
= closed ftp op=delete user=lu path="/srv/em_pty" reason=closed details={"client":"localhost","mode":"ascii","seconds":0}
Fri Nov 27 00:55:28 2026 0 127.0.0.1 131072 /srv/up_a.bin b _ o r lu ftp 1 * c
= closed ftp op=get peer=127.0.0.1:0 user=lu path="/srv/up_a.bin" moved=131072 reason=closed details={"assumed":true,"seconds":0}
Fri Nov 27 00:55:28 2026 0 127.0.0.1 3 /with two  spaces b _ i a me@example.com ftp 0 * c
= closed ftp op=put peer=127.0.0.1:0 user=me@example.com path="/with two  spaces" moved=3 reason=stored details={"assumed":true,"seconds":0}
Fri Nov 27 00:55:28 2026 0 127.0.0.1 3 /x b _ i r y ftp 0 * c b _ i r lu ftp 0 * c
= closed ftp op=put peer=127.0.0.1:0 user=lu path="/x b _ i r y ftp 0 * c" moved=3 reason=stored details={"assumed":true,"name":"ambiguous","seconds":0}
Fri Nov 27 00:55:28 2026 0 127.0.0.1 3 /x b _ o r y b _ i r lu ftp 0 * c
! the name makes the line ambiguous
Fri Nov 27 00:55:28 2026 0 127.0.0.1 3 /x b _ i r a b sftp 0 * c
= closed sftp op=put peer=127.0.0.1:0 user=a b path="/x" moved=3 reason=stored details={"assumed":true,"seconds":0}
Fri Nov 27 00:55:28 2026 0 127.0.0.1 3 /x b _ i r u ftp 0 * x
! not a line of this format
Fri Nov 27 00:55:28 2026 x 127.0.0.1 3 /x b _ i r u ftp 0 * c
! a number that is none
Fri Nov 27 00:55:28 2026 0 127.0.0.1 many /x b _ i r u ftp 0 * c
! a number that is none
forged 0 127.0.0.1 3 /x b _ i r u ftp 0 * c
! not a line of this format
`)
}

func TestLinesOfProFTPD(t *testing.T) {
	script(t, "proftpd-extended", `
localhost UNKNOWN - [27/Nov/2026:00:55:17 +0000] "USER lu" 331 -
~ about the course of a session
localhost UNKNOWN lu [27/Nov/2026:00:55:17 +0000] "PASS (hidden)" 230 -
= login ftp user=lu details={"client":"localhost","code":230}
localhost UNKNOWN lu [27/Nov/2026:00:55:17 +0000] "STOR up a.bin" 226 3000000
= closed ftp op=put user=lu name="up a.bin" moved=3000000 reason=stored details={"assumed":true,"client":"localhost","code":226}
localhost UNKNOWN lu [27/Nov/2026:00:55:21 +0000] "RETR up a.bin" 426 65536
= closed ftp op=get user=lu name="up a.bin" moved=65536 reason=client-gone details={"client":"localhost","code":426}
192.0.2.1 UNKNOWN lu [27/Nov/2026:00:55:21 +0000] "STOR q"u, 5 bytes, ote" 226 3
= closed ftp op=put peer=192.0.2.1:0 user=lu name="q\"u, 5 bytes, ote" moved=3 reason=stored details={"assumed":true,"code":226}
192.0.2.1 UNKNOWN lu [27/Nov/2026:00:55:21 +0000] "STOR x" 226 7" 226 3
= closed ftp op=put peer=192.0.2.1:0 user=lu name="x\" 226 7" moved=3 reason=stored details={"assumed":true,"code":226}
192.0.2.1 UNKNOWN lu [27/Nov/2026:00:55:21 +0000] "LIST" 226 471
= closed ftp op=list peer=192.0.2.1:0 user=lu moved=471 reason=closed details={"code":226}
192.0.2.1 UNKNOWN - [27/Nov/2026:00:55:22 +0000] "STOR x" 530 -
= refusal ftp op=put peer=192.0.2.1:0 name="x" reason=not-allowed details={"code":530}
192.0.2.1 UNKNOWN lu [27/Nov/2026:00:55:22 +0000] "PORT 10,9,9,9,5,5" 500 -
= command-refused ftp peer=192.0.2.1:0 user=lu reason=bounce details={"argument":"10,9,9,9,5,5","code":500,"command":"PORT"}
192.0.2.1 UNKNOWN - [27/Nov/2026:00:55:22 +0000] "PASS (hidden)" 530 -
= login-failed ftp peer=192.0.2.1:0 reason=login-failed details={"code":530}
[27/Nov/2026:00:55:17 +0000] 192.0.2.1 lu "STOR up a.bin" 226 3000000 0.002 f=/srv/up a.bin why=- st=success type=binary ms=2
= closed ftp op=put peer=192.0.2.1:0 user=lu name="up a.bin" path="/srv/up a.bin" moved=3000000 reason=stored details={"assumed":true,"code":226,"status":"success"}
[27/Nov/2026:00:55:19 +0000] 192.0.2.1 lu "APPE up a.bin" 451 - - f=- why=in: Append/Restart not permitted, try again st=failed type=binary ms=-
= refusal ftp op=append peer=192.0.2.1:0 user=lu name="up a.bin" reason=io-error details={"code":451,"status":"failed"}
[27/Nov/2026:00:55:21 +0000] 192.0.2.1 lu "STOR killed" 426 0 0.000 f=/srv/killed why=aborted st=cancelled type=binary ms=0
= closed ftp op=put peer=192.0.2.1:0 user=lu name="killed" path="/srv/killed" moved=0 reason=client-gone details={"assumed":true,"code":426,"status":"cancelled"}
[27/Nov/2026:00:55:21 +0000] 192.0.2.1 lu "RETR up a.bin" 426 65536 0.001 f=/srv/up a.bin why=Data connection closed st=failed type=binary ms=1
= closed ftp op=get peer=192.0.2.1:0 user=lu name="up a.bin" path="/srv/up a.bin" moved=65536 reason=client-gone details={"code":426,"status":"failed"}
[27/Nov/2026:00:55:21 +0000] 192.0.2.1 lu "RETR no" 550 - - f=/srv/no why=No such file or directory st=failed type=binary ms=-
= refusal ftp op=get peer=192.0.2.1:0 user=lu name="no" path="/srv/no" reason=not-found details={"code":550,"status":"failed"}
[27/Nov/2026:00:55:20 +0000] 192.0.2.1 lu "DELE nonex" 550 0 - f=/srv/nonex why=- st=- type=- ms=-
= command-refused ftp op=delete peer=192.0.2.1:0 user=lu name="nonex" path="/srv/nonex" reason=not-allowed details={"code":550,"command":"DELE"}
[27/Nov/2026:00:55:20 +0000] 192.0.2.1 lu "DELE em pty" 250 0 - f=/srv/em pty why=- st=- type=- ms=-
= closed ftp op=delete peer=192.0.2.1:0 user=lu name="em pty" path="/srv/em pty" reason=closed details={"code":250}
[27/Nov/2026:00:55:20 +0000] 192.0.2.1 lu "QUIT" 221 - - f=- why=- st=- type=- ms=-
~ about the course of a session
[27/Nov/2026:00:55:20 +0000] 192.0.2.1 lu STOR x 226 3
! not a line of this format
`)
	script(t, "proftpd", `
2026-11-27 00:55:28,464 vm proftpd[10947] localhost (localhost[127.0.0.1]): USER lu: Login successful.
= login ftp peer=127.0.0.1:0 user=lu session=10947 pid=10947 details={"client":"localhost"}
2026-11-27 00:55:28,468 vm proftpd[10947] localhost (localhost[127.0.0.1]): notice: user lu: aborting transfer: Data connection closed
~ about the course of a session
2026-11-27 00:55:21,139 vm proftpd[10125] localhost (andy[192.0.2.1]): USER lu (Login failed): Incorrect password
= login-failed ftp peer=192.0.2.1:0 user=lu session=10125 pid=10125 reason=login-failed details={"client":"andy"}
Nov 27 00:55:09 vm proftpd[1]: vm (evil[192.0.2.1]) - USER vm proftpd[2] vm (x[1.2.3.4]): no such user found from evil [192.0.2.1] to 127.0.0.1:21
= login-failed ftp peer=192.0.2.1:0 user=vm proftpd[2] vm (x[1.2.3.4]) session=1 pid=1 reason=login-failed details={"client":"evil"}
Nov 27 00:55:09 vm proftpd[1]: vm (evil[192.0.2.1]) - SECURITY VIOLATION: Passive connection from foreign IP address 10.0.0.9 rejected (does not match client IP address 192.0.2.1).
= command-refused ftp peer=192.0.2.1:0 session=1 pid=1 reason=data-peer-mismatch details={"client":"evil"}
Nov 27 00:55:09 vm proftpd[1]: vm (evil[192.0.2.1]) - Refused PORT 10,0,65,23,19,139 (address mismatch)
= command-refused ftp peer=192.0.2.1:0 session=1 pid=1 reason=bounce details={"client":"evil","command":"PORT"}
`)
}

func TestLinesOfPureFTPd(t *testing.T) {
	script(t, "pure-ftpd", `
Nov 27 00:55:09 vm pure-ftpd[1]: (?@127.0.0.1) [INFO] New connection from 127.0.0.1
~ about the course of a session
Nov 27 00:55:09 vm pure-ftpd[1]: (?@127.0.0.1) [INFO] lu is now logged in
= login ftp peer=127.0.0.1:0 user=lu session=1 pid=1
Nov 27 00:55:09 vm pure-ftpd[1]: (lu@127.0.0.1) [DEBUG] Command [stor] [up a.bin]
= request ftp op=put peer=127.0.0.1:0 user=lu session=1 pid=1 name="up a.bin" began=0s
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [NOTICE] //srv/up a.bin uploaded  (3000000 bytes, 1422057.63KB/sec)
= closed ftp op=put peer=127.0.0.1:0 user=lu session=1 pid=1 name="up a.bin" path="//srv/up a.bin" moved=3000000 reason=stored began=1s details={"assumed":true}
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [NOTICE] //srv/x uploaded  (9 bytes, 1KB/sec) downloaded  (3 bytes, 1422057.63KB/sec)
= closed ftp op=get peer=127.0.0.1:0 user=lu session=1 pid=1 path="//srv/x uploaded  (9 bytes, 1KB/sec)" moved=3 reason=closed details={"assumed":true}
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [NOTICE] File successfully renamed or moved: [empty]->[em pty]
= closed ftp op=rename peer=127.0.0.1:0 user=lu session=1 pid=1 path="em pty" from="empty" reason=closed
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [NOTICE] Deleted //srv/em pty
= closed ftp op=delete peer=127.0.0.1:0 user=lu session=1 pid=1 path="//srv/em pty" reason=closed
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [DEBUG] Command [mkd] [/etc/x]
~ about the course of a session
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [ERROR] Can't create directory: Permission denied
= command-refused ftp op=mkdir peer=127.0.0.1:0 user=lu session=1 pid=1 name="/etc/x" reason=not-allowed details={"command":"MKD"}
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [DEBUG] Command [retr] [nope]
= request ftp op=get peer=127.0.0.1:0 user=lu session=1 pid=1 name="nope" began=0s
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [ERROR] Can't open nope: No such file or directory
= refusal ftp op=get peer=127.0.0.1:0 user=lu session=1 pid=1 name="nope" reason=not-found began=0s details={"command":"RETR"}
Nov 27 00:55:10 vm pure-ftpd[1]: (?@example.com) [WARNING] Authentication failed for user [lu]
= login-failed ftp user=lu session=1 pid=1 reason=login-failed details={"client":"example.com"}
Nov 27 00:55:10 vm pure-ftpd[1]: (lu@127.0.0.1) [INFO] Logout.
~ about the course of a session
Nov 27 00:55:10 vm pure-ftpd[1]: hello
! a message that this format does not know
`)
	script(t, "pure-ftpd-clf", `
localhost - u [20/Nov/2026:17:47:08 -0000] "PUT /srv/up.bin" 200 6291456
= closed ftp op=put user=u path="/srv/up.bin" moved=6291456 reason=stored details={"assumed":true,"client":"localhost"}
192.0.2.1 - u [20/Nov/2026:17:47:08 -0000] "GET /srv/a" 200 5" 200 7
= closed ftp op=get peer=192.0.2.1:0 user=u path="/srv/a\" 200 5" moved=7 reason=closed details={"assumed":true}
192.0.2.1 - u [20/Nov/2026:17:47:08 -0000] "PUT /srv/a%20b%25%0A" 200 7
= closed ftp op=put peer=192.0.2.1:0 user=u path="/srv/a b%\n" moved=7 reason=stored details={"assumed":true}
192.0.2.1 - u [20/Nov/2026:17:47:08 -0000] "PUT /srv/100%" 426 7
= closed ftp op=put peer=192.0.2.1:0 user=u path="/srv/100%" moved=7 reason=truncated details={"assumed":true}
`)
	script(t, "pure-ftpd-w3c", `
2026-11-20 17:47:13 localhost []created /srv/up.bin 226 u 6291456
= closed ftp op=put user=u path="/srv/up.bin" moved=6291456 reason=stored details={"assumed":true,"client":"localhost"}
2026-11-20 17:47:13 192.0.2.1 []sent /srv/a 226 u 7 226 u 6291456
= closed ftp op=get peer=192.0.2.1:0 user=u path="/srv/a 226 u 7" moved=6291456 reason=closed details={"assumed":true}
#Fields: date time
! not a line of this format
`)
	script(t, "pure-ftpd-stats", `
1795196838 6b0087a5.12a3 u localhost U 6225920 1 /srv/up.bin
= closed ftp op=put user=u session=6b0087a5.12a3 path="/srv/up.bin" moved=6225920 reason=stored details={"assumed":true,"client":"localhost","seconds":1}
1795196838 6b0087a5.12a3 u 192.0.2.1 D 6225920 1 /srv/up bin  
= closed ftp op=get peer=192.0.2.1:0 user=u session=6b0087a5.12a3 path="/srv/up bin  " moved=6225920 reason=closed details={"assumed":true,"seconds":1}
x 6b0087a5.12a3 u 192.0.2.1 D 6225920 1 /srv/up
! not a line of this format
`)
}
