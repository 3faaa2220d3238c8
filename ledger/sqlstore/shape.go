package sqlstore

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// hole stands in a shape where a number was. JSON has no such byte (RFC 8259, section 7).
const hole = 0

// mostDigits is the longest number that a shape leaves out: it fits an int64.
const mostDigits = 18

// shapeOf takes the numbers out of protocol facts. Servers tell the same facts of each transfer and other numbers: the shape is stored once, and a
// row holds a few bytes. A text with a hole of its own has no shape.
func shapeOf(facts string) (shape string, numbers []byte, ok bool) {
	if strings.IndexByte(facts, hole) >= 0 {
		return "", nil, false
	}
	var b strings.Builder
	b.Grow(len(facts))
	for i := 0; i < len(facts); {
		end := i
		for end < len(facts) && '0' <= facts[end] && facts[end] <= '9' {
			end++
		}
		switch n := end - i; {
		case n == 0:
			b.WriteByte(facts[i])
			end++
		case n > mostDigits || n > 1 && facts[i] == '0':
			b.WriteString(facts[i:end])
		default:
			v, err := strconv.ParseUint(facts[i:end], 10, 64)
			if err != nil {
				return "", nil, false
			}
			b.WriteByte(hole)
			numbers = binary.AppendUvarint(numbers, v)
		}
		i = end
	}
	return b.String(), numbers, true
}

// fill puts the numbers back.
func fill(shape, numbers []byte) string {
	out := make([]byte, 0, len(shape)+3*len(numbers))
	for _, c := range shape {
		if c != hole {
			out = append(out, c)
			continue
		}
		v, n := binary.Uvarint(numbers)
		out = strconv.AppendUint(out, v, 10)
		numbers = numbers[max(n, 0):]
	}
	return string(out)
}
