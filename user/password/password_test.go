package password

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestPasswordFitsItsOwnHashAlone(t *testing.T) {
	argon, err := Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	blow, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{argon, string(blow), "$2y$" + string(blow[4:]), "$2b$" + string(blow[4:])} {
		if err := Check(hash); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
		for password, want := range map[string]bool{"correct horse": true, "correct horse ": false, "": false, strings.Repeat("x", 300): false} {
			if Fits(hash, password) != want {
				t.Errorf("%.7s %q: %v", hash, password, !want)
			}
		}
	}
	again, _ := Hash("correct horse")
	if again == argon {
		t.Error("two hashes have one salt")
	}
	if Check(Nobody) != nil || Fits(Nobody, "") {
		t.Error("somebody fits nobody")
	}
}

func TestHashThatIsDamagedOrTooDearIsRefused(t *testing.T) {
	good, err := Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	f := func(hash, want string) {
		t.Helper()
		if err := Check(hash); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%q) = %v, want %q", hash, err, want)
		}
		if Fits(hash, "correct horse") {
			t.Errorf("%q fits", hash)
		}
	}
	f("", "is no hash")
	f("plain", "is no hash")
	f(strings.Replace(good, "argon2id", "argon2i", 1), "is no hash")
	f(strings.Replace(good, "m=19456", "m=99999999", 1), "costs too much")
	f(strings.Replace(good, "t=2", "t=0", 1), "damaged")
	f(strings.Replace(good, "t=2", "t=11", 1), "costs too much")
	f(strings.Replace(good, "p=1", "p=0", 1), "damaged")
	f(good[:len(good)-30], "damaged")
	f("$2b$31$"+strings.Repeat("a", 53), "costs too much")
	f("$2b$10$aaaa", "is no whole bcrypt")
}

func FuzzHash(f *testing.F) {
	f.Add(Nobody)
	f.Add("$2b$04$" + strings.Repeat("a", 53))
	f.Fuzz(func(t *testing.T, hash string) {
		if Check(hash) != nil && strings.Count(hash, "$") < 8 && Fits(hash, "x") {
			t.Errorf("%q is refused and fits", hash)
		}
	})
}
