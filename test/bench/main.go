// Command bench measures Tallyman beside the servers and witnesses of Debian, in one run on one
// machine, and prints the tables of doc/benchmarks.md.
//
//	go run ./test/bench [-short] [-only NAME] [-runs 5] [-json] [-pin together|apart]
//
// The runs alternate: ours, peer, ours, peer, so that whatever else the machine does
// falls on both. A ratio is the median of the ratios of neighbouring runs. Recording and
// hashing of Tallyman are on, as they are by default; the CPU of a server is user and
// system time of its process and of its children, and of what it does until its backlog
// is empty. Which packets the clients send is left to package load.
//
// The program wants root: for port 69 of dnsmasq, for memory cgroups, for a network
// namespace that drops packets.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"tallyman/test/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// asChild is what this program does as a process of its own, when it was started by itself. It reports whether it was.
func asChild(ctx context.Context, args []string, in io.Reader, out io.Writer) (is bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case clients:
		return true, load.Child(in, out)
	case sender:
		return true, runSender(in, out)
	case ftpClients:
		return true, runFTPClients(in, out)
	case reader:
		return true, runReader(in, out)
	case witness:
		return true, runWitness(ctx, args[1:], in, out)
	default:
		return false, nil
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	if is, err := asChild(ctx, args, os.Stdin, out); is {
		return err
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "runs of a second: to see that it works, not to quote")
	only := flags.String("only", "", "one case; see the first column of -list")
	list := flags.Bool("list", false, "list the cases")
	runs := flags.Int("runs", 5, "alternating runs of each server")
	asJSON := flags.Bool("json", false, "print every run as JSON")
	pin := flags.String("pin", "", "together: server and clients on processor 0; apart: clients on processor 1")
	binary := flags.String("tallyman", "bin/tallyman", "the program that is measured")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *pin != "" && *pin != together && *pin != apart {
		return fmt.Errorf("-pin %q: want %s or %s", *pin, together, apart)
	}
	if *list {
		for _, c := range cases() {
			fmt.Fprintf(out, "%-20s %s\n", c.name, c.title)
		}
		return nil
	}
	r, err := newRig(ctx, *binary, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.short, r.runs, r.pin = *short, *runs, *pin
	results, err := r.all(*only)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(out).Encode(results)
	}
	printAll(out, r.machine(), results)
	return nil
}
