package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Child is the far end of In: it runs the Spec on the first line of in, as JSON, and
// writes the Result to out. At each state of the Gate it writes the state's name, and
// goes on when a line comes back.
func Child(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(line, &s); err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	result, err := Run(s, func(state string) {
		fmt.Fprintln(out, state)
		_, _ = lines.ReadBytes('\n') // a parent that is gone says go on too
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// In runs s in a process of its own: cmd must be a program that calls Child with its
// standard input and output. Gate is called here, not there, and may be nil.
func In(cmd *exec.Cmd, s Spec, gate Gate) (Result, error) {
	line, err := json.Marshal(s)
	if err != nil {
		return Result{}, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return Result{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Result{}, err
	}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return Result{}, fmt.Errorf("start the clients: %w", err)
	}
	if _, err := in.Write(append(line, '\n')); err != nil {
		complaint.WriteString(err.Error())
	}
	var result Result
	found := io.ErrUnexpectedEOF
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if text := scan.Text(); !strings.HasPrefix(text, "{") {
			if gate != nil {
				gate(text)
			}
			_, _ = in.Write([]byte{'\n'}) // clients that are gone give no result: that is said below
			continue
		}
		found = json.Unmarshal(scan.Bytes(), &result)
	}
	if err := cmd.Wait(); err != nil || found != nil {
		return Result{}, fmt.Errorf("clients: %w: %s", errors.Join(found, err), complaint.String())
	}
	return result, nil
}
