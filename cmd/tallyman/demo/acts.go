package demo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tallyman"
	client "tallyman/client/tftp"
)

// Acts returns the scenes, in the order in which they are played.
func Acts() []Act {
	return []Act{
		{"A client fetches a file", fetch("hello.txt", client.Request{Plain: true}), []Record{{"hello.txt", tallyman.Complete, tallyman.FinalAck}}},
		{
			"A switch fetches 8 MiB of firmware, 16 blocks at a time", fetch("firmware.bin", client.Request{BlockSize: 1428, Window: 16}),
			[]Record{{"firmware.bin", tallyman.Complete, tallyman.FinalAck}},
		},
		{"A router stores its configuration", store("router-confg", 3000), []Record{{"router-confg", tallyman.Complete, tallyman.Stored}}},
		{"It stores it again: the old version is kept", store("router-confg", 3100), []Record{{"router-confg", tallyman.Complete, tallyman.Stored}}},
		{"The network loses every fifth packet", lossy, []Record{{"image.bin", tallyman.Complete, tallyman.FinalAck}}},
		{"A client breaks off in the middle", breakOff, []Record{{"image.bin", tallyman.Aborted, tallyman.ClientError}}},
		{"A boot ROM asks for a size and wants no content", probe, []Record{{"image.bin", tallyman.Probe, tallyman.SizeProbe}}},
		{"A client falls silent in the middle", vanish, []Record{{"image.bin", tallyman.Failed, tallyman.ClientSilent}}},
		{"A client announces 5,000 bytes and sends 700", cut, []Record{{"cut.bin", tallyman.Failed, tallyman.Truncated}}},
		{"The disk is full", fill, []Record{{Tiny + "/dump.bin", tallyman.Failed, tallyman.DiskFull}}},
		{"Somebody asks for a file that is not there", refusedFetch("firmware.bni"), []Record{{"firmware.bni", tallyman.Refused, tallyman.NotFound}}},
		{"Somebody tries to leave the folder", refusedFetch("../../etc/passwd"), []Record{{"../../etc/passwd", tallyman.Refused, tallyman.BadRequest}}},
		{"A PXE client looks for its configuration until it finds one", search, []Record{
			{"pxelinux.cfg/01-88-99-aa-bb-cc-dd", tallyman.Refused, tallyman.NotFound},
			{"pxelinux.cfg/C0A8025B", tallyman.Refused, tallyman.NotFound},
			{"pxelinux.cfg/default", tallyman.Complete, tallyman.FinalAck},
		}},
	}
}

// fetch gets a file with the product's own client.
func fetch(name string, how client.Request) func(context.Context, *Stage) error {
	return func(ctx context.Context, s *Stage) error {
		r := s.request(name)
		r.Plain, r.BlockSize, r.Window = how.Plain, how.BlockSize, how.Window
		_, err := client.Get(ctx, r, io.Discard, nil)
		return err
	}
}

func store(name string, size int) func(context.Context, *Stage) error {
	return func(ctx context.Context, s *Stage) error {
		_, err := client.Put(ctx, s.request(name), content(size), int64(size), nil)
		return err
	}
}

// refusedFetch gets a file that the server must refuse.
func refusedFetch(name string) func(context.Context, *Stage) error {
	return func(ctx context.Context, s *Stage) error {
		_, err := client.Get(ctx, s.request(name), io.Discard, nil)
		if _, told := errors.AsType[*client.Failure](err); !told {
			return fmt.Errorf("“%s” was not refused: %w", name, err)
		}
		return nil
	}
}

func search(ctx context.Context, s *Stage) error {
	for _, name := range []string{"pxelinux.cfg/01-88-99-aa-bb-cc-dd", "pxelinux.cfg/C0A8025B"} {
		if err := refusedFetch(name)(ctx, s); err != nil {
			return err
		}
	}
	return fetch("pxelinux.cfg/default", client.Request{Plain: true})(ctx, s)
}

// fill stores more than the folder takes.
func fill(ctx context.Context, s *Stage) error {
	_, err := client.Put(ctx, s.request(Tiny+"/dump.bin"), content(200_000), -1, nil)
	if _, told := errors.AsType[*client.Failure](err); !told {
		return fmt.Errorf("the full disk was not told: %w", err)
	}
	return nil
}
