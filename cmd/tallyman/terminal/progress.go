package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"tallyman"
)

// progressEvery is how often the bar is drawn.
const progressEvery = 100 * time.Millisecond

// Progress returns what draws a bar for bytes that move; a total of 0 or less is unknown. The bar goes when all have moved.
func Progress(w io.Writer, what string) func(done, total int64) {
	var drawn time.Time
	begun := time.Now()
	return func(done, total int64) {
		now := time.Now()
		last := done == total
		if now.Sub(drawn) < progressEvery && !last {
			return
		}
		drawn = now
		rate := float64(done) / max(now.Sub(begun).Seconds(), 0.001) / 1e6
		bar := ""
		if total > 0 {
			full := int(min(30, done*30/total))
			bar = fmt.Sprintf("[%s%s] %3d%% ", strings.Repeat("=", full), strings.Repeat(" ", 30-full), min(100, done*100/total))
		}
		fmt.Fprintf(w, "\r\x1b[K%s %s%s bytes  %.1f MB/s", what, bar, tallyman.Count(done), rate)
		if last {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
