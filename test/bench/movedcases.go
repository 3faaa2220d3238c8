package main

// accountCases are those of servers for accounts: FTP, FTPS and SFTP.
func accountCases() []test {
	figures := []string{perGiB, clientCPU, speed}
	bulk := func(name, title string, h haul, labels []string, bars ...bar) test {
		return test{name: name, title: title, labels: labels, metrics: figures, bars: bars, run: func(r *rig, name string) (map[string][]sample, error) { return r.bulk(name, h, labels) }}
	}
	down, up := []string{ours, known, unhashed, vsftpd, pureftpd, proftpd}, []string{ours, unhashed, vsftpd, pureftpd, proftpd}
	ssh := func(name, title string, up bool) test {
		labels := []string{ours, unhashed, openssh}
		if !up {
			labels = []string{ours, known, unhashed, openssh}
		}
		return test{
			name: name, title: title, labels: labels, metrics: figures, bars: []bar{{speed, ours, openssh, true, 1, "x"}, {perGiB, ours, openssh, false, 1, "x"}},
			run: func(r *rig, name string) (map[string][]sample, error) { return r.openSSH(name, up, labels) },
		}
	}
	little := func(name, title string, up bool, bars ...bar) test {
		labels := []string{ours, vsftpd, pureftpd, proftpd}
		return test{
			name: name, title: title, labels: labels, metrics: []string{filesEach, each, clientEach, failed}, bars: bars,
			run: func(r *rig, name string) (map[string][]sample, error) { return r.littleFiles(name, up, labels) },
		}
	}
	crowd := func(name, title string, overSSH bool, labels []string, bars ...bar) test {
		return test{
			name: name, title: title, labels: labels, metrics: []string{moved, logged, held, perSession, total, retried}, bars: bars,
			run: func(r *rig, name string) (map[string][]sample, error) { return r.many(name, overSSH, labels) },
		}
	}
	entering := []string{ours, vsftpd, pureftpd, ours + repeated, vsftpd + repeated}
	return []test{
		bulk("ftp-download", "FTP, one file of 1 GiB to the client, from and to memory", haul{}, down,
			bar{perGiB, ours, vsftpd, false, 1, "x"}, bar{perGiB, known, vsftpd, false, 1, "x"}, bar{perGiB, unhashed, vsftpd, false, 1, "x"}),
		bulk("ftp-upload", "FTP, one file of 1 GiB to the server, from and to memory", haul{up: true}, up,
			bar{perGiB, ours, pureftpd, false, 1.1, "x"}, bar{perGiB, unhashed, pureftpd, false, 1.1, "x"}),
		bulk("ftps-download", "FTPS, one file of 1 GiB to the client, from and to memory", haul{tls: true}, down,
			bar{perGiB, ours, pureftpd, false, 0.8, "x"}, bar{perGiB, known, pureftpd, false, 0.8, "x"}, bar{perGiB, unhashed, pureftpd, false, 0.8, "x"}),
		bulk("ftps-upload", "FTPS, one file of 1 GiB to the server, from and to memory", haul{up: true, tls: true}, up,
			bar{perGiB, ours, pureftpd, false, 0.8, "x"}, bar{perGiB, unhashed, pureftpd, false, 0.8, "x"}),
		ssh("sftp-download", "SFTP, one file of 1 GiB to the client of OpenSSH with AES-GCM, login and all", false),
		ssh("sftp-upload", "SFTP, one file of 1 GiB from the client of OpenSSH with AES-GCM, login and all", true),
		little("ftp-files-down", "FTP, 2,000 files of 4 KiB to the client in one session", false, bar{filesEach, ours, pureftpd, true, 0.9, "x"}),
		little("ftp-files-up", "FTP, 2,000 files of 4 KiB to the server in one session; ours syncs each", true, bar{failed, ours, "", false, 0, ""}),
		crowd("ftp-sessions", "FTP, 500 sessions at once, each 256 KiB up and down", false, []string{ours, vsftpd, pureftpd}, bar{moved, ours, vsftpd, false, 1.1, "x"}),
		crowd("sftp-sessions", "SFTP, 500 sessions at once, each 256 KiB up and down", true, []string{ours, openssh}, bar{held, ours, openssh, false, 0.1, "x"}),
		{
			name: "ftp-logins", title: "FTP logins of 200 accounts and of one again and again, 8 at once, bcrypt of cost 10", labels: entering, metrics: []string{entered, each, retried},
			bars: []bar{{entered, ours, vsftpd, true, 1, "x"}, {entered, ours + repeated, vsftpd + repeated, true, 10, "x"}},
			run:  func(r *rig, name string) (map[string][]sample, error) { return r.enter(name, entering) },
		},
	}
}
