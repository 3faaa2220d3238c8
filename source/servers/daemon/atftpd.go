package daemon

import (
	"strconv"
	"strings"
)

// atftpdOptions are those of atftpd(8), version 0.8, as far as they have values.
var atftpdOptions = grammar{
	short: "t:r:m:v::V",
	long: map[string]string{
		"tftpd-timeout=": "t", "retry-timeout=": "r", "maxthread=": "m", "verbose": "v", "logfile=": "logfile", "pidfile=": "pidfile", "user=": "user",
		"group=": "group", "port=": "port", "bind-address=": "bind-address", "pcre=": "pcre", "pcre-test=": "pcre-test", "mcast-ttl=": "mcast-ttl",
		"mcast-addr=": "mcast-addr", "mcast-port=": "mcast-port", "daemon": "daemon", "no-fork": "no-fork", "trace": "trace",
	},
}

// atftpd reads the command line of atftpd. It has no configuration file.
func atftpd(args []string, _ Look) *Setup {
	options, rest := atftpdOptions.parse(args)
	s := &Setup{Name: "atftpd", Proto: "tftp", Port: 69}
	if p, ok := value(options, "port"); ok {
		s.Port = port(p, 69)
	}
	level := 5
	if v, ok := value(options, "v"); ok {
		if level = 6; v != "" {
			level, _ = strconv.Atoi(v)
		}
	}
	log, own := value(options, "logfile")
	switch {
	case !own:
		s.Logs = []Log{{Format: "atftpd"}}
	case strings.HasPrefix(log, "/") && log != "/dev/null" && log != "/dev/stdout":
		s.Logs = []Log{{Path: log, Format: "atftpd"}}
	}
	for _, r := range rest {
		if strings.HasPrefix(r, "/") {
			s.Roots = []string{r}
		}
	}
	if len(s.Roots) == 0 {
		s.doubt("its command line names no folder: which files it serves is not known")
	}
	if len(s.Logs) > 0 {
		s.Tells = Tells{Requests: level >= 5, Refusals: level >= 5, Ends: level >= 7}
	}
	switch {
	case len(s.Logs) == 0:
		s.advise("atftpd writes no log that can be read: add --logfile /var/log/atftpd.log --verbose=7 to OPTIONS in /etc/default/atftpd and restart it")
	case level < 7:
		s.advise("atftpd runs below --verbose=7: the ends of transfers are unseen in its log; set --verbose=7 in /etc/default/atftpd and restart it")
	}
	return s
}
