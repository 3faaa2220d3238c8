package config

import (
	"maps"
	"slices"
	"strings"
)

const envPrefix = "TALLYMAN_"

// EnvName returns the variable that overrides a key: serve.tftp.listen is TALLYMAN_SERVE_TFTP_LISTEN.
func EnvName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// environment applies the variables of known keys. A list is separated by commas. A variable that is near to a known one is a slip of
// the pen and an error. Others are not ours: Kubernetes sets TALLYMAN_PORT and TALLYMAN_SERVICE_HOST for a service of our name.
func (r *reader) environment(env []string) {
	known := map[string]key{}
	var all []string
	for _, k := range values() {
		known[EnvName(k.path)] = k
		all = append(all, EnvName(k.path))
	}
	env = slices.Sorted(slices.Values(env))
	for _, entry := range env {
		name, text, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, envPrefix) {
			continue
		}
		at := origin{name: "environment " + name}
		k, ours := known[name]
		switch {
		case ours:
			r.setText(&k, text, at)
		case laterName(name) != "":
			r.add(at, laterName(name), notYet)
		default:
			if near := nearest(name, all); near != "" && distance(name, near) <= 2 {
				r.add(at, "", "unknown variable, did you mean %s?", near)
			}
		}
	}
}

func laterName(env string) string {
	for _, path := range later {
		path = strings.TrimSuffix(path, ".*")
		if env == EnvName(path) || strings.HasPrefix(env, EnvName(path)+"_") {
			return path
		}
	}
	return ""
}

// setText sets a key from a text without YAML.
func (r *reader) setText(k *key, text string, at origin) {
	if k.table {
		r.tableText(k, text, at)
		return
	}
	if !k.list {
		if err := k.set(&r.config, text); err != nil {
			r.add(at, k.path, "%s", refusal(k, text, err))
			return
		}
		r.config.from[k.path] = at
		return
	}
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		if err := k.checkWord(word); err != nil {
			r.add(at, k.path, "%s", refusal(k, word, err))
			return
		}
		words = append(words, word)
	}
	k.setList(&r.config, words)
	r.config.from[k.path] = at
}

// Set overrides one key by a text, as a flag does; from names it in errors and in Show, as in "flag --web". A list is separated by
// commas. Other copies of the Config are not touched. Check tells afterwards whether the keys fit together.
func (c *Config) Set(path, text, from string) error {
	at := origin{name: from}
	r := reader{config: *c}
	r.config.from = map[string]origin{}
	maps.Copy(r.config.from, c.from)
	all := values()
	i := slices.IndexFunc(all, func(k key) bool { return k.path == path })
	if i < 0 {
		r.add(at, path, "unknown key")
	} else {
		r.setText(&all[i], text, at)
	}
	if err := r.err(); err != nil {
		return err
	}
	*c = r.config
	return nil
}

// Given reports whether the file, the environment or a flag set the key, be it to its default.
func (c *Config) Given(path string) bool {
	_, ok := c.from[path]
	return ok
}
