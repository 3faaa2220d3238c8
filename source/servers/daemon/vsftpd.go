package daemon

import "strings"

// vsftpd reads the files that its command line names, in their order, and options given there as -oNAME=VALUE (vsftpd(8), vsftpd.conf(5)).
func vsftpd(args []string, look Look) *Setup {
	s := &Setup{Name: "vsftpd", Proto: "ftp"}
	set := map[string]string{
		"anonymous_enable": "YES", "xferlog_file": "/var/log/xferlog", "vsftpd_log_file": "/var/log/vsftpd.log", "listen_port": "21",
	}
	read := func(text string) {
		lines(text, func(line string) {
			if name, val, ok := strings.Cut(line, "="); ok {
				set[name] = val // no white space is allowed around the sign
			}
		})
	}
	named := false
	for _, a := range args {
		switch {
		case strings.HasPrefix(a, "-o"):
			read(a[2:])
		case strings.HasPrefix(a, "-"):
		default:
			named = true
			read(s.file(look, a))
		}
	}
	if !named {
		read(s.file(look, "/etc/vsftpd.conf"))
	}
	on := func(name string) bool {
		v := strings.ToUpper(set[name])
		return v == "YES" || v == "TRUE" || v == "1"
	}
	s.Port, s.TLS = port(set["listen_port"], 21), on("ssl_enable")
	s.vsftpdRoots(look, set, on)
	s.vsftpdLogs(set, on)
	return s
}

func (s *Setup) vsftpdRoots(look Look, set map[string]string, on func(string) bool) {
	if on("anonymous_enable") {
		root := set["anon_root"]
		if root == "" {
			user := set["ftp_username"]
			if user == "" {
				user = "ftp"
			}
			root = homeOf(look, user)
		}
		s.Roots = append(s.Roots, root)
	}
	if on("local_enable") {
		if root := set["local_root"]; root != "" {
			s.Roots = append(s.Roots, place(look, root, set["user_sub_token"])...)
		} else {
			s.Roots = append(s.Roots, homes(look)...)
		}
		if dir := set["user_config_dir"]; dir != "" {
			for _, name := range look.Glob(dir + "/*") {
				lines(s.file(look, name), func(line string) {
					if val, ok := strings.CutPrefix(line, "local_root="); ok {
						s.Roots = append(s.Roots, place(look, val, set["user_sub_token"])...)
					}
				})
			}
		}
	}
}

func (s *Setup) vsftpdLogs(set map[string]string, on func(string) bool) {
	own := on("dual_log_enable") || !on("xferlog_std_format")
	if !on("xferlog_enable") {
		s.advise("vsftpd writes no log of transfers: set xferlog_enable=YES, xferlog_std_format=NO and log_ftp_protocol=YES in vsftpd.conf and restart it")
		return
	}
	if own && on("syslog_enable") {
		s.Logs = append(s.Logs, Log{Format: "vsftpd"})
	} else if own {
		s.Logs = append(s.Logs, Log{Path: set["vsftpd_log_file"], Format: "vsftpd"})
	}
	if !own { // with both, the other one says the same once more
		s.Logs = append(s.Logs, Log{Path: set["xferlog_file"], Format: "xferlog"})
	}
	protocol := own && on("log_ftp_protocol")
	s.Tells = Tells{Requests: protocol, Refusals: protocol, Ends: true}
	switch {
	case !own:
		s.advise("vsftpd writes xferlog alone: logins, requests and refusals are unseen in its log; set xferlog_std_format=NO and log_ftp_protocol=YES and restart it")
	case !protocol:
		s.advise("vsftpd runs without log_ftp_protocol=YES: requests and refusals are unseen in its log; set it in vsftpd.conf and restart it")
	}
}
