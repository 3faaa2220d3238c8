package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"tallyman/user"
	"tallyman/user/password"
)

// userCommand keeps the accounts for transfers. A running server sees a change within a second.
func (p *program) userCommand() *cobra.Command {
	c := p.group(&cobra.Command{
		Use: "user", Short: "accounts for transfers: add, passwd, rm, ls",
		Long: "Keeps the accounts of those who may transfer files (not of those who may see the page). A running server sees a change within a second.",
	})
	var file string
	c.PersistentFlags().StringVar(&file, "users", "", "`file` of accounts (default: "+usersFile+" in the state folder)")
	path := func() (string, error) {
		if file != "" {
			return filepath.Abs(file)
		}
		state, err := p.stateFolder()
		if err == nil {
			err = makeState(state)
		}
		return filepath.Join(state, usersFile), err
	}
	c.AddCommand(p.userAdd(path), p.userPasswd(path), p.userRemove(path), p.userList(path))
	return c
}

func (p *program) userAdd(path func() (string, error)) *cobra.Command {
	var root, rights, until, keyFile string
	var fromStdin bool
	c := &cobra.Command{
		Use: "add NAME", Short: "add an account", Args: cobra.ExactArgs(1),
		Long: `Adds an account. The password is asked for, or read from standard input; it is never an argument. With --key the account has no password
unless --password-stdin gives one.`,
		Example: "  tallyman user add ann --root /srv/ann\n  tallyman user add backup --key id_ed25519.pub --permissions create,list\n  echo \"$PASSWORD\" | tallyman user add ann --password-stdin",
		RunE: func(_ *cobra.Command, args []string) error {
			n := user.New{Name: args[0]}
			if err := user.CheckName(n.Name); err != nil {
				return &coded{exitUsage, err}
			}
			var err error
			if n.Rights, err = user.ParseRights(rights); err != nil {
				return &coded{exitUsage, err}
			}
			if root != "" {
				if n.Root, err = filepath.Abs(root); err != nil {
					return err
				}
				if st, err := os.Stat(n.Root); err != nil || !st.IsDir() {
					return usage("--root %s is no folder: make it with mkdir -p", n.Root)
				}
			}
			if n.Until, err = untilWhen(until, time.Now()); err != nil {
				return err
			}
			if keyFile != "" {
				text, err := os.ReadFile(keyFile)
				if err != nil {
					return fmt.Errorf("read --key: %w", err)
				}
				n.Keys = []string{strings.TrimSpace(string(text))}
			}
			if keyFile == "" || fromStdin {
				if n.Password, err = p.newPassword(n.Name, fromStdin); err != nil {
					return err
				}
			}
			file, err := path()
			if err == nil {
				err = user.Add(file, n)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "Added %s to %s.\n", n.Name, file)
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "", "`folder` that the account sees (default: the root of the server)")
	c.Flags().StringVar(&rights, "permissions", "all", "what it may do: all, or some of read,write,create,overwrite,delete,rename,list")
	c.Flags().StringVar(&until, "until", "", "when the account ends: a `time` such as 2027-01-31T18:00:00Z, or in how long, such as 24h")
	c.Flags().StringVar(&keyFile, "key", "", "public key `file` that opens the account, as id_ed25519.pub")
	c.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	return c
}

// untilWhen reads a time, or a duration from now on.
func untilWhen(text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).UTC().Format(time.RFC3339), nil
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return "", usage("--until %q is neither a time such as 2027-01-31T18:00:00Z nor a duration such as 24h", text)
	}
	return text, nil
}

func (p *program) userPasswd(path func() (string, error)) *cobra.Command {
	var fromStdin bool
	c := &cobra.Command{
		Use: "passwd NAME", Short: "give an account another password", Args: cobra.ExactArgs(1),
		Example: "  tallyman user passwd ann\n  echo \"$PASSWORD\" | tallyman user passwd ann --password-stdin",
		RunE: func(_ *cobra.Command, args []string) error {
			hash, err := p.newPassword(args[0], fromStdin)
			if err != nil {
				return err
			}
			file, err := path()
			if err == nil {
				err = user.SetPassword(file, args[0], hash)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "Changed the password of %s in %s.\n", args[0], file)
			return nil
		},
	}
	c.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	return c
}

func (p *program) userRemove(path func() (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "remove an account; its files stay", Args: cobra.ExactArgs(1), Example: "  tallyman user rm ann",
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := path()
			if err == nil {
				err = user.Remove(file, args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "Removed %s from %s. Who is logged in stays so until the connection ends.\n", args[0], file)
			return nil
		},
	}
}

func (p *program) userList(path func() (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "list accounts", Args: cobra.NoArgs, Example: "  tallyman user ls",
		RunE: func(*cobra.Command, []string) error {
			file, err := path()
			if err != nil {
				return err
			}
			list, err := user.Load(file)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				fmt.Fprintf(p.stdout, "There is no account in %s: tallyman user add NAME\n", file)
				return nil
			}
			w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tOPENED BY\tROOT\tPERMISSIONS\tUNTIL")
			for _, a := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.Name, openedBy(a), rootOf(a), rightsOf(a), untilOf(a))
			}
			return w.Flush()
		},
	}
}

func openedBy(a *user.Account) string {
	var by []string
	if a.Anonymous() {
		by = append(by, "anybody")
	}
	if a.HasPassword() {
		by = append(by, "password")
	}
	if n := len(a.Keys()); n > 0 {
		by = append(by, strconv.Itoa(n)+" keys")
	}
	return strings.Join(by, ", ")
}

func rootOf(a *user.Account) string {
	if a.Root == "" {
		return "of the server"
	}
	return a.Root
}

func rightsOf(a *user.Account) string {
	s := a.Rights.String()
	if a.Rights == user.All {
		s = "all"
	}
	if n := len(a.Paths); n > 0 {
		s += "; other ones for " + strconv.Itoa(n) + " paths"
	}
	return s
}

func untilOf(a *user.Account) string {
	if a.Until.IsZero() {
		return "-"
	}
	return a.Until.Format(time.RFC3339)
}

// newPassword reads a password, once from standard input or twice from a person, and returns its hash.
func (p *program) newPassword(name string, fromStdin bool) (string, error) {
	if fromStdin {
		line, err := readLine(p.stdin)
		if err != nil {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		return hashOf(line)
	}
	var typed [2]string
	for i, ask := range []string{"Password of " + name + ": ", "Again: "} {
		var err error
		if typed[i], err = p.askSecret(ask); errors.Is(err, errNoTerminal) {
			return "", usage("%v: use --password-stdin", err)
		} else if err != nil {
			return "", err
		}
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ: nothing was changed")
	}
	return hashOf(typed[0])
}

func hashOf(pass string) (string, error) {
	hash, err := password.Hash(pass)
	if err != nil {
		return "", &coded{exitUsage, err}
	}
	return hash, nil
}

// readLine reads one line and not a byte more.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) <= password.Most+2 {
		n, err := r.Read(b[:])
		if n == 1 && b[0] != '\n' {
			line = append(line, b[0])
			continue
		}
		if n == 1 || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSuffix(string(line), "\r"), nil
}
