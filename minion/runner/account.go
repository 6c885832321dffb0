package runner

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is who a script runs as.
type account struct {
	name       string
	home       string
	credential *syscall.Credential // nil: the minion's own
}

// lookup finds a user; the empty name is the minion's own. Only root can become somebody else.
func lookup(name string) (account, error) {
	self, err := user.Current()
	if err != nil {
		return account{}, fmt.Errorf("look up own user: %w", err)
	}
	if name == "" || name == self.Username {
		return account{name: self.Username, home: self.HomeDir}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("runas: no user %q on this host", name)
	}
	if u.Uid == self.Uid {
		return account{name: u.Username, home: u.HomeDir}, nil
	}
	if os.Geteuid() != 0 {
		return account{}, fmt.Errorf("runas: the minion runs as %s, and only root can run a script as %s", self.Username, name)
	}
	credential, err := credentialOf(u)
	if err != nil {
		return account{}, fmt.Errorf("runas %s: %w", name, err)
	}
	return account{name: u.Username, home: u.HomeDir, credential: credential}, nil
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
