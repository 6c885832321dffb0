package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Account is who a script runs as.
type Account struct {
	Name       string
	Home       string
	Credential *syscall.Credential // nil: the caller's own
}

// Lookup finds a user of this host; the empty name is the caller's own. Only root can become somebody else.
func Lookup(name string) (Account, error) {
	self, err := user.Current()
	if err != nil {
		return Account{}, fmt.Errorf("look up own user: %w", err)
	}
	if name == "" || name == self.Username {
		return Account{Name: self.Username, Home: self.HomeDir}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return Account{}, fmt.Errorf("runas: no user %q on this host", name)
	}
	if u.Uid == self.Uid {
		return Account{Name: u.Username, Home: u.HomeDir}, nil
	}
	if os.Geteuid() != 0 {
		return Account{}, fmt.Errorf("runas: the minion runs as %s, and only root can run a script as %s", self.Username, name)
	}
	credential, err := credentialOf(u)
	if err != nil {
		return Account{}, fmt.Errorf("runas %s: %w", name, err)
	}
	return Account{Name: u.Username, Home: u.HomeDir, Credential: credential}, nil
}

func credentialOf(u *user.User) (*syscall.Credential, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	c := &syscall.Credential{}
	if c.Uid, err = number(u.Uid); err != nil {
		return nil, err
	}
	if c.Gid, err = number(u.Gid); err != nil {
		return nil, err
	}
	for _, id := range ids {
		n, err := number(id)
		if err != nil {
			return nil, err
		}
		c.Groups = append(c.Groups, n)
	}
	return c, nil
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("id %q is not a number", id)
	}
	return uint32(n), nil
}
