package config

import (
	"strings"
	"testing"
	"time"
)

func TestEnvironmentOverridesTheFile(t *testing.T) {
	c, err := Parse("t.yaml", []byte("web: {listen: 127.0.0.1:1}\nserve: {tftp: {allow: any}}\n"), []string{
		"PATH=/bin", "TALLYMAN_WEB_LISTEN=127.0.0.1:2", "TALLYMAN_SERVE_TFTP_ALLOW=private, 203.0.113.7", "TALLYMAN_DRAIN=5s", "TALLYMAN_WEB_HOSTS=",
		"TALLYMAN_STATE=/tmp/s", "TALLYMAN_PORT=tcp://10.0.0.1:69", "TALLYMAN_SERVICE_HOST=10.0.0.1", "TALLYMAN_PORT_69_UDP_ADDR=10.0.0.1", "odd",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Web.Listen != "127.0.0.1:2" || strings.Join(c.Serve.TFTP.Allow, " ") != "private 203.0.113.7" || c.Drain != Duration(5*time.Second) || c.State != "/tmp/s" {
		t.Errorf("got %+v", c)
	}
}

func TestWrongEnvironmentIsRefused(t *testing.T) {
	f := func(entry, want string) {
		t.Helper()
		_, err := Parse("t.yaml", nil, []string{entry})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", entry, err, want)
		}
	}
	f("TALLYMAN_WEB_LISTN=:1", "environment TALLYMAN_WEB_LISTN: unknown variable, did you mean TALLYMAN_WEB_LISTEN?")
	f("TALLYMAN_FLEET_LISTEN=:1", "environment TALLYMAN_FLEET_LISTEN: fleet: is not in this version")
	f("TALLYMAN_NOTIFY=x", "environment TALLYMAN_NOTIFY: notify: is not in this version")
	f("TALLYMAN_DRAIN=5", `environment TALLYMAN_DRAIN: drain: "5" has no unit: write 5s, 5m, 5h, 5d or 5w, for example drain: 30s`)
	f("TALLYMAN_SERVE_TFTP_ALLOW=private,office",
		`environment TALLYMAN_SERVE_TFTP_ALLOW: serve.tftp.allow: "office" is none of private, any, an address such as 10.20.0.5 or a network such as 10.20.0.0/24, for example allow: [private, 203.0.113.0/24]`)
	f("TALLYMAN_NAME=a\x00b", `environment TALLYMAN_NAME: name: "a\x00b" is not text: it holds a NUL or is not UTF-8, for example name: lab-tftp-01`)
}

func TestEachKeyHasItsOwnVariable(t *testing.T) {
	seen := map[string]string{}
	for _, k := range values() {
		name := EnvName(k.path)
		if seen[name] != "" {
			t.Errorf("%s stands for %s and %s", name, seen[name], k.path)
		}
		seen[name] = k.path
	}
}

func TestSetOverridesAndNamesTheFlag(t *testing.T) {
	before, err := Parse("t.yaml", []byte("web: {listen: 127.0.0.1:1}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := before
	if err := c.Set("web.listen", "127.0.0.1:2", "flag --web"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(Show(c), `listen: "127.0.0.1:2"  # flag --web`) {
		t.Errorf("the flag is not shown:\n%s", Show(c))
	}
	if before.Web.Listen != "127.0.0.1:1" || !strings.Contains(Show(before), "# t.yaml:1:15") {
		t.Error("the copy before was changed")
	}
	want := `flag --web: web.listen: "8420" is no address to listen on: write HOST:PORT, as in 127.0.0.1:8420, [::1]:8420, or :8420 for all interfaces, for example listen: 127.0.0.1:8420`
	if err := c.Set("web.listen", "8420", "flag --web"); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := c.Set("web.listn", "", "flag --web"); err == nil {
		t.Error("an unknown key was set")
	}
	if c.Web.Listen != "127.0.0.1:2" {
		t.Error("a refused value was kept")
	}
}

func TestSetOnDefaultsWorksWithoutAFile(t *testing.T) {
	c := Defaults()
	if err := c.Set("serve.tftp.allow", "any,10.0.0.1", "flag --allow"); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "flag --allow: serve.tftp.allow: any stands beside") {
		t.Errorf("got %v", err)
	}
}

func TestGivenTellsASetDefaultFromAnUnsetOne(t *testing.T) {
	c, err := Parse("t.yaml", []byte("serve: {tftp: {listen: :69}}\n"), nil)
	if err != nil || !c.Given("serve.tftp.listen") || c.Given("web.listen") {
		t.Errorf("listen %v, web %v, %v", c.Given("serve.tftp.listen"), c.Given("web.listen"), err)
	}
}
