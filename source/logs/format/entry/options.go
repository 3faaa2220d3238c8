package entry

import "time"

// Options are what a format is told at the start.
type Options struct {
	// Zone is the local time of the server that wrote the lines, for stamps that name none. nil is UTC.
	Zone *time.Location
	// Host is where the lines were written, for those that do not say.
	Host string
}
