package config

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema returns the JSON Schema (draft 2020-12) of the file, by which editors complete and check. The descriptions are the doc comments
// of the structs. It knows the form of each value, but not what only Check can tell.
func Schema() []byte {
	s := object(keys(), comments())
	s.Version = jsonschema.Version
	s.Title = "Configuration of Tallyman"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("config: schema of constant structs: " + err.Error())
	}
	return out
}

func object(ks []key, about map[string]string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	defaults := Defaults()
	for _, k := range ks {
		var p *jsonschema.Schema
		if k.members != nil {
			p = object(k.members, about)
		} else {
			p = k.form()
			p.Default = k.in(&defaults).Interface()
			switch {
			case k.table:
				p.Default = map[string]string{}
			case k.list && k.in(&defaults).Len() == 0:
				p.Default = []string{}
			}
		}
		p.Description = about[k.path]
		s.Properties.Set(k.name, p)
	}
	return s
}

// form is the schema of one value.
func (k *key) form() *jsonschema.Schema {
	switch {
	case k.isTruth():
		return &jsonschema.Schema{Type: "boolean"}
	case k.isNumber():
		return &jsonschema.Schema{Type: "integer", Minimum: json.Number(k.min), Maximum: json.Number(k.max)}
	case k.table:
		class := &jsonschema.Schema{Type: "string"}
		for _, w := range classWords {
			class.Enum = append(class.Enum, w)
		}
		return &jsonschema.Schema{Type: "object", PatternProperties: map[string]*jsonschema.Schema{"^/": class}, AdditionalProperties: jsonschema.FalseSchema}
	case k.list:
		word := &jsonschema.Schema{Type: "string"}
		array := &jsonschema.Schema{Type: "array", Items: word}
		all := []*jsonschema.Schema{word, array}
		if k.inner != "" {
			within := jsonschema.NewProperties()
			within.Set(k.inner, array)
			all = append(all, &jsonschema.Schema{Type: "object", Properties: within, AdditionalProperties: jsonschema.FalseSchema, Required: []string{k.inner}})
		}
		return &jsonschema.Schema{OneOf: all}
	case len(k.words) > 0:
		s := &jsonschema.Schema{Type: "string"}
		for _, w := range k.words {
			s.Enum = append(s.Enum, w)
		}
		return s
	}
	return &jsonschema.Schema{Type: "string", Pattern: map[reflect.Type]string{
		reflect.TypeFor[Duration](): `^([0-9]+(w|d|h|m|s|ms))+$`,
		reflect.TypeFor[Size]():     `^[0-9]+(B|KiB|MiB|GiB|TiB)$`,
		reflect.TypeFor[Free]():     `^([0-9]+(B|KiB|MiB|GiB|TiB)|[1-9][0-9]?%)$`,
		reflect.TypeFor[Addr]():     `^(.*:[0-9]+)?$`,
	}[k.typ]}
}

// comments returns the doc comment of each field by the path of its key.
func comments() map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", source, parser.ParseComments)
	if err != nil {
		panic("config: own source: " + err.Error())
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok {
			if s, ok := t.Type.(*ast.StructType); ok {
				structs[t.Name.Name] = s
			}
		}
		return true
	})
	out := map[string]string{}
	var walk func(name, prefix string)
	walk = func(name, prefix string) {
		for _, f := range structs[name].Fields.List {
			if f.Tag == nil {
				continue
			}
			tag, _ := strconv.Unquote(f.Tag.Value)
			path := prefix + reflect.StructTag(tag).Get("yaml")
			out[path] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			if t, ok := f.Type.(*ast.Ident); ok && structs[t.Name] != nil {
				walk(t.Name, path+".")
			}
		}
	}
	walk("Config", "")
	return out
}
