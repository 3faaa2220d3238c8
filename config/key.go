package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// key is one key of the file: a section, which has members, or a value.
type key struct {
	name    string
	path    string // serve.tftp.listen
	at      []int  // reflect index in Config
	typ     reflect.Type
	members []key // of a section
	words   []string
	min     string
	max     string
	example string
	inner   string // of a list: the one member of a section that may stand for it
	live    bool
	list    bool
	table   bool
}

// checker is a list whose words have a form.
type checker interface{ check(word string) error }

// keys returns the sections and values of Config in the order of the file.
func keys() []key { return keysOf(reflect.TypeFor[Config](), "", nil) }

func keysOf(t reflect.Type, prefix string, at []int) []key {
	var out []key
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		k := key{
			name: name, path: prefix + name, at: append(slices.Clone(at), i), typ: f.Type,
			words: strings.Fields(f.Tag.Get("words")), min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			example: f.Tag.Get("eg"), live: f.Tag.Get("live") == "yes", list: f.Type.Kind() == reflect.Slice, table: f.Type.Kind() == reflect.Map,
			inner: f.Tag.Get("inner"),
		}
		if section(f.Type) {
			k.members = keysOf(f.Type, k.path+".", k.at)
		}
		out = append(out, k)
	}
	return out
}

func section(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// values returns the keys that hold a value, in the order of the file.
func values() []key {
	var out []key
	var walk func([]key)
	walk = func(ks []key) {
		for _, k := range ks {
			if k.members == nil {
				out = append(out, k)
			}
			walk(k.members)
		}
	}
	walk(keys())
	return out
}

func (k *key) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(k.at) }

// set reads text into a value that is no list, and leaves the value alone if the text does not fit. The error completes a sentence that
// begins with the text.
func (k *key) set(c *Config, text string) error {
	fresh := reflect.New(k.in(c).Type())
	u, own := reflect.TypeAssert[encoding.TextUnmarshaler](fresh)
	switch {
	case own:
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return err
		}
	case k.isTruth():
		if text != "true" && text != "false" {
			return errors.New("is neither true nor false")
		}
		fresh.Elem().SetBool(text == "true")
	case k.isNumber():
		n, err := whole(text)
		if err != nil {
			return fmt.Errorf("is no number: %w", err)
		}
		fresh.Elem().SetInt(n)
	case len(k.words) > 0 && !slices.Contains(k.words, text):
		return errors.New("is unknown" + didYouMean(text, k.words) + " " + oneOf(k.words))
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return errors.New("is not text: it holds a NUL or is not UTF-8")
	default:
		fresh.Elem().SetString(text)
	}
	if err := k.within(fresh.Elem()); err != nil {
		return err
	}
	k.in(c).Set(fresh.Elem())
	return nil
}

// within compares with the bounds of the key.
func (k *key) within(got reflect.Value) error {
	if k.min != "" && got.Int() < k.bound(k.min) {
		return errors.New("is too little, at least " + k.min)
	}
	if k.max != "" && got.Int() > k.bound(k.max) {
		return errors.New("is too much, at most " + k.max)
	}
	return nil
}

// bound reads the text of a tag as the key would read it.
func (k *key) bound(text string) int64 {
	if k.isNumber() {
		n, _ := whole(text)
		return n
	}
	b := reflect.New(k.typ)
	_ = b.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	return b.Elem().Int()
}

func (k *key) isNumber() bool { return k.typ.Kind() == reflect.Int }
func (k *key) isTruth() bool  { return k.typ.Kind() == reflect.Bool }
func (k *key) isText() bool   { return k.typ == reflect.TypeFor[string]() }

// kind names what the key holds.
func (k *key) kind() string {
	switch {
	case k.isNumber():
		return "a whole number"
	case k.isTruth():
		return "true or false"
	case k.list:
		return "a word or a list of words"
	case k.table:
		return "a section of folders"
	case len(k.words) > 0:
		return "one of the words " + strings.Join(k.words, ", ")
	case k.isText():
		return "text"
	default:
		return map[reflect.Type]string{
			reflect.TypeFor[Duration](): "a duration", reflect.TypeFor[Size](): "a size",
			reflect.TypeFor[Free](): "a size or a share", reflect.TypeFor[Addr](): "an address", reflect.TypeFor[Ports](): "a range of ports",
		}[k.typ]
	}
}

// setList replaces the list by the words.
func (k *key) setList(c *Config, words []string) {
	v := k.in(c)
	list := reflect.MakeSlice(v.Type(), 0, len(words))
	for _, w := range words {
		list = reflect.Append(list, reflect.ValueOf(w))
	}
	if len(words) == 0 {
		list = reflect.Zero(v.Type())
	}
	v.Set(list)
}

// checkWord checks one word of a list.
func (k *key) checkWord(word string) error {
	return reflect.Zero(k.typ).Interface().(checker).check(word)
}

// text writes the value as YAML.
func (k *key) text(c *Config) string {
	switch v := k.in(c).Interface().(type) {
	case Addr:
		return strconv.Quote(string(v))
	case encoding.TextMarshaler:
		b, err := v.MarshalText()
		if err != nil {
			return strconv.Quote(err.Error())
		}
		return string(b)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case string:
		return plain(v)
	case Classes:
		return v.text()
	default:
		words := k.in(c)
		out := make([]string, words.Len())
		for i := range out {
			out[i] = plain(words.Index(i).String())
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
}

// safe is text that no YAML version reads as anything but text.
var safe = regexp.MustCompile(`^(/?[a-z][a-z0-9_./-]*[a-z0-9]|/)$`)

func plain(s string) string {
	switch s {
	case "no", "yes", "on", "off", "true", "false", "null", "y", "n":
		return strconv.Quote(s)
	}
	if safe.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// eg returns a right line to show in an error.
func (k *key) eg() string {
	if k.members != nil {
		return k.name + ": {" + k.members[0].eg() + "}"
	}
	if k.example != "" {
		return k.name + ": " + k.example
	}
	d := Defaults()
	return k.name + ": " + k.text(&d)
}

func oneOf(words []string) string { return "(known: " + strings.Join(words, ", ") + ")" }

// didYouMean returns ", did you mean X?" for the nearest word, or nothing if none is near.
func didYouMean(got string, known []string) string {
	if near := nearest(got, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

func nearest(got string, known []string) string {
	best, least := "", max(2, len(got)/3)+1
	if len(got) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(got, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance counts insertions, deletions, substitutions and swaps of neighbours (Damerau and Levenshtein, restricted).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
