package engine

import (
	"strings"
	"testing"
	"time"

	"tallyman/source/tftp/packet"
)

// oack negotiates and renders the first reply: the options of the OACK, or "plain".
func oack(t testing.TB, text string, cfg Config, size int64) string {
	t.Helper()
	g := grant(t, text, cfg, size)
	if !g.OACK() {
		return "plain"
	}
	p := g.AppendOACK(nil)
	if len(p) > 512 {
		t.Errorf("%s: OACK has %d octets", text, len(p))
	}
	options, ok := packet.ParseOACK(p)
	if !ok {
		t.Fatalf("%s: OACK %q cannot be read", text, p)
	}
	var words []string
	for name, value := range options.All() {
		words = append(words, string(name)+"="+string(value))
	}
	return strings.Join(words, " ")
}

func TestOptionsAreGrantedWithinTheirLimits(t *testing.T) {
	f := func(options, want string) {
		t.Helper()
		if got := oack(t, "RRQ f octet "+options, Defaults(), 1234); got != want {
			t.Errorf("%s: got %q, want %q", options, got, want)
		}
	}
	f("", "plain")
	f("blksize=8", "blksize=8")
	f("blksize=1428", "blksize=1428")
	f("blksize=65464", "blksize=65464")
	f("blksize=65465", "blksize=65464")
	f("blksize=4294967808", "blksize=65464") // 512 in the low 32 bit
	f("blksize=7", "plain")                  // dnsmasq grants it
	f("blksize=0", "plain")
	f("blksize=abc", "plain")
	f("blksize=-1", "plain") // tftpd-hpa grants 65464
	f("blksize=512x", "plain")
	f("blksize=+512", "plain")
	f("blksize=99999999999999999999999999", "plain")
	f("blksize=18446744073709552128", "plain") // 512 in the low 64 bit
	f("timeout=1", "timeout=1")
	f("timeout=20", "timeout=20")
	f("timeout=21", "plain") // not repeated twice before the give-up time
	f("timeout=0", "plain")
	f("timeout=256", "plain")
	f("timeout=2.5", "plain")
	f("windowsize=1", "windowsize=1")
	f("windowsize=16", "windowsize=16")
	f("windowsize=0", "plain")
	f("windowsize=65535", "windowsize=64")
	f("windowsize=65536", "plain") // rs-tftpd grants 1
	f("tsize=0", "tsize=1234")
	f("tsize=99", "tsize=1234")
	f("tsize=x", "plain")
	f("utimeout=100000", "plain")
	f("unknown=1", "plain")
	f("unknown=1 tsize=0", "tsize=1234")
	f("multicast= tsize=0", "tsize=1234")
	f("BLKSIZE=1024 TSize=0", "blksize=1024 tsize=1234")
	f("windowsize=4 tsize=0 timeout=3 blksize=512", "blksize=512 timeout=3 tsize=1234 windowsize=4")
}

func TestDuplicateOptionHasOneAnswer(t *testing.T) {
	f := func(options, want string) {
		t.Helper()
		if got := oack(t, "RRQ f octet "+options, Defaults(), 1234); got != want {
			t.Errorf("%s: got %q, want %q", options, got, want)
		}
	}
	f("blksize=1024 blksize=512", "blksize=1024")
	f("blksize=1024 BlkSize=512 tsize=0", "blksize=1024 tsize=1234")
	f("blksize=7 blksize=512", "plain")
}

func TestSizeOfAReadIsTheRealOneAlsoForAnEmptyFile(t *testing.T) {
	f := func(text string, size int64, want string) {
		t.Helper()
		if got := oack(t, text, Defaults(), size); got != want {
			t.Errorf("%s of %d: got %q, want %q", text, size, got, want)
		}
	}
	f("RRQ f octet tsize=0", 0, "tsize=0") // pin/tftp drops it
	f("RRQ f octet tsize=0", 5_000_000_000, "tsize=5000000000")
	f("RRQ f netascii tsize=0", -1, "plain")
}

func TestSizeOfAnUploadIsEchoedAndCountsInOctetAboveZeroOnly(t *testing.T) {
	f := func(text, want string, announced int64) {
		t.Helper()
		g := grant(t, text, Defaults(), -1)
		if got := oack(t, text, Defaults(), -1); got != want || g.Announced != announced {
			t.Errorf("%s: got %q announced %d, want %q announced %d", text, got, g.Announced, want, announced)
		}
	}
	f("WRQ f octet tsize=3000", "tsize=3000", 3000)
	f("WRQ f octet tsize=0", "tsize=0", -1) // curl -T -
	f("WRQ f netascii tsize=3000", "tsize=3000", -1)
	f("WRQ f octet", "plain", -1)
	f("WRQ f octet tsize=999999999999999", "tsize=999999999999999", 999999999999999)
	f("WRQ f octet tsize=9223372036854775807", "tsize=9223372036854775807", 1<<63-1)
	f("WRQ f octet tsize=9223372036854775808", "plain", -1)
	f("WRQ f octet tsize=-5", "plain", -1)
}

func TestWindowIsLoweredToWhatTheBuffersHold(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := oack(t, text, Defaults(), -1); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	f("RRQ f octet blksize=1428 windowsize=64", "blksize=1428 windowsize=64")
	f("RRQ f octet blksize=8192 windowsize=64", "blksize=8192 windowsize=12")
	f("RRQ f octet blksize=65464 windowsize=64", "blksize=65464 windowsize=1")
	f("WRQ f octet blksize=1428 windowsize=64", "blksize=1428 windowsize=64")
	f("WRQ f octet blksize=8192 windowsize=64", "blksize=8192 windowsize=13")
	f("WRQ f octet blksize=65464 windowsize=64", "blksize=65464 windowsize=1")
}

func TestConfiguredLimitsLowerWhatIsGranted(t *testing.T) {
	cfg := Defaults()
	cfg.MaxBlockSize, cfg.MaxWindow, cfg.GiveUp = 1428, 4, 6*time.Second
	got := oack(t, "RRQ f octet blksize=65464 windowsize=64 timeout=2", cfg, 1)
	if want := "blksize=1428 timeout=2 windowsize=4"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cfg.MaxReadWindow, cfg.ReceiveBuffer = 1000, 1000
	if got := oack(t, "RRQ f octet blksize=1428 windowsize=4", cfg, 1); got != "blksize=1428 windowsize=1" {
		t.Errorf("a read with room for less than a block: got %q", got)
	}
	if got := oack(t, "WRQ f octet blksize=1428 windowsize=4", cfg, 1); got != "blksize=1428 windowsize=1" {
		t.Errorf("a write with room for less than a block: got %q", got)
	}
	if got := oack(t, "RRQ f octet timeout=3", cfg, 1); got != "plain" {
		t.Errorf("a timeout of 3s with give-up at 6s: got %q", got)
	}
}

func TestUnknownModeAndMailAreRefused(t *testing.T) {
	f := func(text string) {
		t.Helper()
		if _, refused := Negotiate(request(t, text), Defaults(), 1); refused == nil || refused.Code != packet.IllegalOperation {
			t.Errorf("%s: got %v", text, refused)
		}
	}
	f("RRQ f mail")
	f("RRQ f binary")
	f("WRQ f octet2 tsize=0")
}

func TestFirstReplyWithOptionsIsAtMostTwiceTheRequest(t *testing.T) {
	f := func(text string, size int64) {
		t.Helper()
		req := request(t, text)
		g := grant(t, text, Defaults(), size)
		reply := len(g.AppendOACK(nil))
		if reply > 2*req.Len() {
			t.Errorf("%s: OACK of %d octets for %d", text, reply, req.Len())
		}
		if total := reply * int(1+g.repetitions()); total > 2*req.Len() {
			t.Errorf("%s: %d octets to a silent source for %d", text, total, req.Len())
		}
	}
	f("RRQ f octet tsize=0", 1<<63-1)
	f("RRQ f octet tsize=0", 1000)
	f("RRQ f octet blksize=8 timeout=1 windowsize=1 tsize=0", 1<<62)
	f("RRQ f octet blksize=99999", 1)
	f("WRQ f octet tsize=1", -1)
}

func TestLastBlockIsShorterThanTheOthers(t *testing.T) {
	f := func(size, last int64, tail int) {
		t.Helper()
		g := Grant{BlockSize: 512}
		if l, n := g.LastBlock(size); l != uint64(last) || n != tail {
			t.Errorf("%d octets: block %d with %d, want %d with %d", size, l, n, last, tail)
		}
	}
	f(0, 1, 0)
	f(511, 1, 511)
	f(512, 2, 0)
	f(1000, 2, 488)
	f(512*65535, 65536, 0)
}

func TestConfigOutOfItsRangeIsRefused(t *testing.T) {
	f := func(want string, change func(*Config)) {
		t.Helper()
		cfg := Defaults()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("block size is 7", func(c *Config) { c.MaxBlockSize = 7 })
	f("block size is 65465", func(c *Config) { c.MaxBlockSize = 65465 })
	f("window is 0", func(c *Config) { c.MaxWindow = 0 })
	f("window is 32768", func(c *Config) { c.MaxWindow = 32768 })
	f("window of a read is 0", func(c *Config) { c.MaxReadWindow = 0 })
	f("receive buffer -1", func(c *Config) { c.ReceiveBuffer = -1 })
	f("give-up time is 10ms", func(c *Config) { c.GiveUp = 10 * ms })
	f("timer is 0s", func(c *Config) { c.MinRTO = 0 })
	f("timer is 30ms..1ms", func(c *Config) { c.MaxRTO = ms })
	f("dally time is -1ms", func(c *Config) { c.Dally = -ms })
	if err := Defaults().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}
