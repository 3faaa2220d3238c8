package web

import (
	"net/http"
	"regexp"
	"strings"
)

// pathValue finds the {id} of a path.
var pathValue = regexp.MustCompile(`\{(\w+)\}`)

// getOpenAPI describes the routes (OpenAPI 3.1), made from their table.
func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	paths := map[string]map[string]any{}
	for _, rt := range s.routes() {
		if paths[rt.path] == nil {
			paths[rt.path] = map[string]any{}
		}
		paths[rt.path][strings.ToLower(rt.method)] = operation(rt)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Tallyman", "version": s.parts.Version, "license": map[string]string{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Every file transfer has one record with a proven verdict. Times are UTC; what is unknown is absent, never a made-up 0.",
		},
		"paths": paths,
		"components": map[string]any{
			"securitySchemes": map[string]any{
				"token":   map[string]string{"type": "http", "scheme": "bearer"},
				"session": map[string]string{"type": "apiKey", "in": "cookie", "name": s.cookieName(door{tls: s.cfg.encrypted()})},
			},
			"schemas": map[string]any{"Problem": map[string]any{
				"type": "object", "required": []string{"error"},
				"properties": map[string]any{
					"error": map[string]string{"type": "string", "description": "what was wrong, where, what to do"},
					"caret": map[string]string{"type": "string", "description": "the query with a caret below the fault"},
				},
			}},
		},
	})
	return nil
}

func operation(rt route) map[string]any {
	params := []map[string]any{}
	for _, m := range pathValue.FindAllStringSubmatch(rt.path, -1) {
		params = append(params, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]string{"type": "string"}})
	}
	for _, name := range rt.query {
		kind := "string"
		if name == "limit" || name == "last" {
			kind = "integer"
		}
		params = append(params, map[string]any{"name": name, "in": "query", "description": queryText[name], "schema": map[string]string{"type": kind}})
	}
	kind := rt.kind
	if kind == "" {
		kind = "application/json"
	}
	op := map[string]any{
		"summary":    rt.summary,
		"parameters": params,
		"responses": map[string]any{
			"2XX": map[string]any{"description": "the answer", "content": map[string]any{kind: map[string]any{}}},
			"default": map[string]any{"description": "a problem", "content": map[string]any{
				"application/json": map[string]any{"schema": map[string]string{"$ref": "#/components/schemas/Problem"}},
			}},
		},
	}
	if rt.needs == see || rt.needs == order {
		op["security"] = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	return op
}
