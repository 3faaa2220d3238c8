package web

import (
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"tallyman/web/ui"
)

// getPage serves index.html at /, never cached, and /assets/, whose names carry a hash of their content and may be kept for ever. The
// assets are stored compressed.
func (s *Server) getPage(w http.ResponseWriter, r *http.Request) error {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return problem(http.StatusMethodNotAllowed, "%s is not for %s: %s/openapi.json says what is", r.Method, r.URL.Path, api)
	case r.URL.Path == "/":
		index, err := fs.ReadFile(s.files, "index.html")
		if err != nil {
			return problem(http.StatusServiceUnavailable, "UI not built: run make")
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, err = w.Write(index)
		return err
	case strings.HasPrefix(r.URL.Path, "/assets/"):
		return s.asset(w, r, strings.TrimPrefix(r.URL.Path, "/"))
	default:
		return problem(http.StatusNotFound, "there is nothing at %s: the page is at /, the API is described at %s/openapi.json", r.URL.Path, api)
	}
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request, name string) error {
	content, encoding, err := ui.Asset(s.files, name, r.Header.Get("Accept-Encoding"))
	if err != nil {
		return problem(http.StatusNotFound, "there is no %s: reload the page, it may be older than the server", r.URL.Path)
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	_, err = w.Write(content) //nolint:gosec // a file of our own build
	return err
}
