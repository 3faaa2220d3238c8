// Package ui holds the built page of Tallyman: one HTML file and its hashed, compressed assets. It promises only that the files are
// there if `make` has built them, and to give each as its reader takes it; who serves them, and with which headers, is the business of package web.
//
//	src/*.tsx, src/style.css --npm run build--> dist/index.html, dist/assets/NAME-HASH.{js,css,svg}.{gz,br} --embed--> Files, Asset
package ui

import (
	"embed"
	"io/fs"
)

// A pattern that matches no file breaks `go build`, so dist holds one committed empty .gitkeep that the build leaves alone.
//
//go:embed all:dist
var dist embed.FS

// Files returns the built files, with dist as root. Without a build it holds no index.html.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // "dist" is a valid path: fs.Sub cannot refuse it
	}
	return sub
}
