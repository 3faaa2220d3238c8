package daemon

import "strconv"

// hpaOptions are those of in.tftpd(8), version 5.2.
var hpaOptions = grammar{
	short: "46lLa:csu:U:pP:t:T:m:vr:B:R:V",
	long: map[string]string{
		"ipv4": "4", "ipv6": "6", "listen": "l", "foreground": "L", "address=": "a", "create": "c", "secure": "s", "user=": "u", "umask=": "U",
		"permissive": "p", "pidfile=": "P", "timeout=": "t", "retransmit=": "T", "map-file=": "m", "verbose": "v", "verbosity=": "verbosity",
		"refuse=": "r", "blocksize=": "B", "port-range=": "R", "version": "V",
	},
}

// hpa reads the command line of in.tftpd. It has no configuration file; the folders are its arguments.
func hpa(args []string, _ Look) *Setup {
	options, rest := hpaOptions.parse(args)
	s := &Setup{Name: "tftpd-hpa", Proto: "tftp", Port: 69, Logs: []Log{{Format: "tftpd-hpa"}}, Programs: []string{"in.tftpd"}}
	verbose := 0
	secure := false
	for _, o := range options {
		switch o.name {
		case "a":
			s.Port = portOf(o.value, 69)
		case "s":
			secure = true
		case "v":
			verbose++
		case "verbosity":
			verbose, _ = strconv.Atoi(o.value) // what is no number is 0 there too
		}
	}
	if secure && len(rest) > 1 {
		rest = rest[:1] // it sees the first one alone
	}
	s.Roots = rest
	if len(rest) == 0 {
		s.doubt("its command line names no folder: which files it may serve is not known")
	}
	s.Tells = Tells{Requests: verbose >= 1, Refusals: verbose >= 2}
	switch verbose {
	case 0:
		s.advise("tftpd-hpa runs without -vv: requests and refusals are unseen in its log; add -vv to TFTP_OPTIONS in /etc/default/tftpd-hpa and restart it")
	case 1:
		s.advise("tftpd-hpa runs with -v alone: refusals are unseen in its log; add -vv to TFTP_OPTIONS in /etc/default/tftpd-hpa and restart it")
	}
	return s
}
