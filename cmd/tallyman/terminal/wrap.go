package terminal

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// narrowest is the least width for which text is laid out; a smaller terminal breaks lines itself.
const narrowest = 40

// widthOf is how many columns a person sees: those of the terminal, or what COLUMNS says (environ(7)); 0 where nobody says, and then no line is broken.
func widthOf(w any) int {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return max(int(size.Col), narrowest)
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, narrowest)
	}
	return 0
}

// Paragraph prints text behind a head, broken between words to the width of the screen; the lines that follow stand below the first word.
func (s Screen) Paragraph(head, text string) {
	indent := strings.Repeat(" ", visibleWidth(head))
	for i, line := range Wrap(text, s.room(head)) {
		if i > 0 {
			head = indent
		}
		fmt.Fprintln(s, strings.TrimRight(head+line, " "))
	}
}

// room is how many columns are left beside the head.
func (s Screen) room(head string) int {
	if s.Width == 0 {
		return 0
	}
	return max(s.Width-visibleWidth(head), narrowest/2)
}

// Wrap breaks text between words into lines of at most so many characters; a longer word is cut. 0 breaks nothing. Colours take no room.
func Wrap(text string, width int) (lines []string) {
	if width <= 0 || visibleWidth(text) <= width {
		return []string{text}
	}
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		if line != "" && visibleWidth(line)+1+visibleWidth(word) > width {
			lines, line = append(lines, line), ""
		} else if line != "" {
			line += " "
		}
		line += word
		for utf8.RuneCountInString(line) > width && visibleWidth(line) > width {
			head := string([]rune(line)[:width])
			lines, line = append(lines, head), line[len(head):]
		}
	}
	return append(lines, line)
}
