package appspec

import (
	"strings"
)

// permission finds what an entry is for. An object that the deployment neither makes nor finds as a directory is left
// alone, as the agent does.
func (b *planner) permission(p *Permission) error {
	if _, copied := b.copies[p.Object]; copied {
		if !p.Files {
			return nil
		}
		switch {
		case p.Pattern != everything:
			return conflictf("the application specification file includes an object (%s) with an invalid pattern (%s): an object that is a file takes no pattern", p.Object, p.Pattern)
		case len(p.Except) > 0:
			return conflictf("the except parameter for a pattern in the permissions section (%s) for the object named %s contains an invalid format: an object that is a file takes no except", strings.Join(p.Except, ", "), p.Object)
		}
		return b.give(p.Object, false, p)
	}
	if !b.dirs[p.Object] && b.view.at(p.Object) != directory {
		return nil
	}
	if p.Files {
		for _, name := range b.order {
			if p.Reaches(name) {
				if err := b.give(name, false, p); err != nil {
					return err
				}
			}
		}
	}
	if p.Directories {
		for _, name := range b.made {
			if p.Reaches(name) {
				if err := b.give(name, true, p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *planner) give(name string, dir bool, p *Permission) error {
	if b.set[name] {
		return conflictf("the permissions setting for (%s) is specified more than once in the application specification file", name)
	}
	if !dir && hasACL(p.ACLs, true, func(ACL) bool { return true }) {
		return conflictf("the -d parameter has been specified to apply an acl setting to a file (%s): default entries are for directories only", name)
	}
	if b.set == nil {
		b.set = map[string]bool{}
	}
	b.set[name] = true
	b.plan.Settings = append(b.plan.Settings, Setting{Path: name, Real: b.view.key(name), Dir: dir, Entry: p})
	return nil
}
