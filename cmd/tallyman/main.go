// Command tallyman gives every file transfer one record with a proven verdict: it serves files, watches, records and answers why.
//
// This room alone knows all others. It reads the configuration, opens what the configuration names, connects it, runs it, and stops it in
// the order of the flow; the reading commands ask a running server by its socket, and use the same API as the page.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once: what was acknowledged is on stable storage
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
