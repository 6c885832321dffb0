package runner

import "cmp"

// prune keeps the newest good releases, the live one included, and one failed one for inspection. Failed ones never
// count as good ones. With onlyFailed the good ones stay, however many.
func (s *site) prune(keep int, onlyFailed bool) error {
	releases, err := s.all()
	if err != nil {
		return err
	}
	live, err := s.link()
	if err != nil {
		return err
	}
	for _, rec := range expendable(releases, live, keep, onlyFailed) {
		if err := s.discard(rec.ID); err != nil {
			return err
		}
	}
	return nil
}

// expendable chooses among releases, the last activated first, what prune removes. live is an id.
func expendable(releases []*record, live string, keep int, onlyFailed bool) (out []*record) {
	good, failed := 0, 0
	for _, rec := range releases {
		if rec.ID == live {
			good++
		}
	}
	for _, rec := range releases {
		switch {
		case rec.ID == live:
		case rec.Good:
			if good++; good > cmp.Or(keep, defaultKeep) && !onlyFailed {
				out = append(out, rec)
			}
		default:
			if failed++; failed > 1 {
				out = append(out, rec)
			}
		}
	}
	return out
}
