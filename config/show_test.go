package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// example is the file in the root of the repository that shows every key.
const example = "../tallyman.example.yaml"

func TestExampleHoldsTheDefaults(t *testing.T) {
	c, err := Load(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	if live, restart := Diff(Defaults(), c); live != nil || restart != nil {
		t.Errorf("the example differs from the defaults in %v %v", live, restart)
	}
}

// uncommented takes the mark of comment away from lines that hold a key.
var uncommented = regexp.MustCompile(`(?m)^( *)# ([a-z_]+: )`)

func TestExampleShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text = uncommented.ReplaceAll(text, []byte("$1$2"))
	c, err := Parse("example", text, nil)
	if err != nil {
		t.Fatalf("the example without marks of comment: %v", err)
	}
	for _, k := range values() {
		if _, ok := c.from[k.path]; !ok {
			t.Errorf("the example does not show %s", k.path)
		}
	}
}

func TestShowNamesTheOriginOfWhatIsNotDefault(t *testing.T) {
	c, err := Parse("my.yaml", []byte("name: \"true\"\nlog: {level: info}\nserve:\n  tftp:\n    write: no\n"), []string{"TALLYMAN_DRAIN=5s"})
	if err != nil {
		t.Fatal(err)
	}
	got := Show(c)
	for _, line := range []string{"name: \"true\"  # my.yaml:1:7\n", "  level: info\n", "    write: \"no\"  # my.yaml:5:12\n", "drain: 5s  # environment TALLYMAN_DRAIN\n", "  hosts: []\n", "    listen: \":69\"\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("missing %q in\n%s", line, got)
		}
	}
	if strings.Count(got, "#") != 3 {
		t.Errorf("an origin stands beside a default:\n%s", got)
	}
}

func TestWhatIsShownIsReadBackEqual(t *testing.T) {
	c := Defaults()
	for path, text := range map[string]string{
		"name": "a\u0085b\u2028\"'\\#: \U0001f642\ufeff\u202e\ue000", "state": " - x: [y] ", "log.file": "null", "serve.user": "~", "serve.tftp.root": "010",
		"web.hosts": "a,true,1.2.3.4,::1", "jsonl.file": "a\n\tb\r\x1b\x7f",
	} {
		if err := c.Set(path, text, "test\n"+path); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Parse("shown", []byte(Show(c)), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, Show(c))
	}
	if live, restart := Diff(c, again); live != nil || restart != nil {
		t.Errorf("read back different: %v %v\n%s", live, restart, Show(c))
	}
}

func TestDiffTellsWhatNeedsARestart(t *testing.T) {
	c := Defaults()
	for path, text := range map[string]string{"log.level": "debug", "web.listen": ":1", "serve.tftp.allow": "any", "serve.tftp.listen": ":70", "name": ""} {
		if err := c.Set(path, text, "test"); err != nil {
			t.Fatal(err)
		}
	}
	live, restart := Diff(Defaults(), c)
	if !slices.Equal(live, []string{"log.level", "serve.tftp.allow"}) || !slices.Equal(restart, []string{"web.listen", "serve.tftp.listen"}) {
		t.Errorf("live %v, restart %v", live, restart)
	}
}

type schemaNode struct {
	Properties  map[string]*schemaNode `json:"properties"`
	Description string                 `json:"description"`
	Default     any                    `json:"default"`
	Enum        []any                  `json:"enum"`
	Pattern     string                 `json:"pattern"`
	Additional  any                    `json:"additionalProperties"`
}

func TestSchemaDescribesEveryKeyAndItsDefault(t *testing.T) {
	var root schemaNode
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(ks []key, n *schemaNode)
	walk = func(ks []key, n *schemaNode) {
		if len(n.Properties) != len(ks) || n.Additional != false {
			t.Errorf("the schema has %d properties for %d keys, others: %v", len(n.Properties), len(ks), n.Additional)
		}
		for _, k := range ks {
			p := n.Properties[k.name]
			if p == nil || !strings.HasSuffix(p.Description, ".") || !unicode.IsUpper(rune(p.Description[0])) {
				t.Errorf("%s: no description in the schema: %+v", k.path, p)
				continue
			}
			if k.members != nil {
				walk(k.members, p)
				continue
			}
			if len(k.words) > 0 && !slices.Contains(p.Enum, p.Default) {
				t.Errorf("%s: the default %v is none of %v", k.path, p.Default, p.Enum)
			}
			if text, ok := p.Default.(string); p.Pattern != "" && (!ok || !regexp.MustCompile(p.Pattern).MatchString(text)) {
				t.Errorf("%s: the default %v does not match %s", k.path, p.Default, p.Pattern)
			}
			if p.Default == nil {
				t.Errorf("%s: no default", k.path)
			}
		}
	}
	walk(keys(), &root)
}

func TestDefaultsAndExamplesOfKeysAreRight(t *testing.T) {
	d := Defaults()
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	if _, err := Parse("shown", []byte(Show(d)), nil); err != nil {
		t.Errorf("a default is out of its own bounds: %v", err)
	}
	for _, k := range values() {
		text := k.eg()
		sections := strings.Split(k.path, ".")
		for _, s := range slices.Backward(sections[:len(sections)-1]) {
			text = s + ": {" + text + "}"
		}
		_, err := Parse(k.path, []byte(text), nil)
		if alone := k.name == "cert_file" || k.name == "key_file"; (err != nil) != alone {
			t.Errorf("the example of an error message is wrong: %v", err)
		}
	}
}

func TestProfilesAreGoodConfigurations(t *testing.T) {
	for _, name := range Profiles() {
		text, next, err := Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "tallyman.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.Serve.TFTP.Root == "" || c.Serve.TFTP.Read == (name == "wotftp") {
			t.Errorf("%s: %+v", name, c.Serve.TFTP)
		}
		if !strings.Contains(next, "tallyman serve --config tallyman.yaml") {
			t.Errorf("%s: the next step is missing: %q", name, next)
		}
	}
}

func TestOtherProfilesAreRefusedWithAList(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if _, _, err := Profile(name); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", name, err)
		}
	}
	f("host", "the profile host is not in this version: there are tftp, wotftp")
	f("wotfpt", `there is no profile "wotfpt", did you mean wotftp?: there are tftp, wotftp`)
	f("../tftp", `there is no profile "../tftp": there are tftp, wotftp`)
}

func FuzzAcceptedIsShownAndReadBackEqual(f *testing.F) {
	for _, path := range []string{example, "profile/tftp.yaml", "profile/wotftp.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(Show(Defaults())))
	f.Add([]byte("name: \"\\u00e4\\x1b\\U0001F642 \\\\ \\\"\"\nserve: {tftp: {allow: [any], root: 'it''s', user: |-\n  a\n  b\n}}"))
	f.Add([]byte("? a\n: b\n- c\n&a *b !!c <<: {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			return
		}
		c, err := Parse("fuzz", text, nil)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("refused without a problem: %v", err)
			}
			return
		}
		again, err := Parse("shown", []byte(Show(c)), nil)
		if err != nil {
			t.Fatalf("what is shown is refused: %v\n%s", err, Show(c))
		}
		if live, restart := Diff(c, again); live != nil || restart != nil {
			t.Fatalf("read back different: %v %v\n%s", live, restart, Show(c))
		}
	})
}
