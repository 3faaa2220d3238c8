package sqlstore

import (
	"context"
	"crypto/sha256"
	"net/netip"

	"tallyman"
)

// dims are the dimension tables.
type dims struct {
	words     dim[string]
	files     dim[string]
	addresses dim[netip.Addr]
	traits    dim[trait]
	shapes    dim[string]
	once      *recent[string] // shapes that were seen once
}

func (d *dims) open(ctx context.Context, p *preparer) {
	d.words.open(ctx, p, "word", mostWords, "text")
	d.files.open(ctx, p, "file", mostFiles, "name")
	d.addresses.open(ctx, p, "address", mostAddresses, "ip", "text")
	d.traits.open(ctx, p, "trait", mostTraits, traitColumns...)
	d.shapes.open(ctx, p, "shape", mostShapes, "sum", "text")
	d.once = newRecent[string](mostShapes)
}

func (d *dims) forget() {
	d.words.forget()
	d.files.forget()
	d.addresses.forget()
	d.traits.forget()
	d.shapes.forget()
}

// ids are the dimensions of one row.
type ids struct {
	host, proto, client, server, file, trait int64
}

func (d *dims) resolve(ctx context.Context, t *tallyman.Transfer, shown string, tr trait) (n ids, err error) {
	if n.host, err = d.word(ctx, t.Host); err != nil {
		return n, err
	}
	if n.proto, err = d.word(ctx, t.Proto); err != nil {
		return n, err
	}
	if n.client, err = d.address(ctx, t.Client); err != nil {
		return n, err
	}
	if n.server, err = d.address(ctx, t.Server); err != nil {
		return n, err
	}
	if n.trait, err = d.traits.id(ctx, tr, trait.columns); err != nil {
		return n, err
	}
	if shown != "" {
		n.file, err = d.files.id(ctx, shown, asBytes)
	}
	return n, err
}

func (d *dims) word(ctx context.Context, s string) (int64, error) {
	return d.words.id(ctx, s, asBytes)
}

// address is 0 for no address.
func (d *dims) address(ctx context.Context, a netip.AddrPort) (int64, error) {
	if !a.IsValid() {
		return 0, nil
	}
	return d.addresses.id(ctx, a.Addr(), func(ip netip.Addr) []any {
		return []any{ipBytes(ip), []byte(ip.WithZone("").String())}
	})
}

// details returns the shape of protocol facts and their numbers, or the facts themselves while their shape has occurred only once: a shape of its own
// would cost more than it saves.
func (d *dims) details(ctx context.Context, facts string) (id, text any, err error) {
	if facts == "" {
		return nil, nil, nil
	}
	shape, numbers, ok := shapeOf(facts)
	if !ok {
		return nil, []byte(facts), nil
	}
	n, known := d.shapes.known.get(shape)
	if !known {
		if _, again := d.once.get(shape); !again {
			d.once.put(shape, 0)
			return nil, []byte(facts), nil
		}
		n, err = d.shapes.id(ctx, shape, func(s string) []any {
			sum := sha256.Sum256([]byte(s))
			return []any{sum[:16], []byte(s)}
		})
	}
	if len(numbers) == 0 {
		return n, nil, err
	}
	return n, numbers, err
}

func asBytes(s string) []any { return []any{[]byte(s)} }
