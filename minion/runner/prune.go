package runner

// prune keeps the newest good releases, the live one included, and one failed one for inspection. Failed ones never
// count as good ones. With onlyFailed the good ones stay, however many.
func (s *site) prune(keep int, onlyFailed bool) error {
	if keep == 0 {
		keep = defaultKeep
	}
	releases, err := s.all()
	if err != nil {
		return err
	}
	live, err := s.link()
	if err != nil {
		return err
	}
	good, failed := 0, 0
	for _, rec := range releases {
		if rec.ID == live {
			good++
		}
	}
	for _, rec := range releases {
		switch {
		case rec.ID == live:
			continue
		case rec.Good:
			if good++; onlyFailed || good <= keep {
				continue
			}
		default:
			if failed++; failed <= 1 {
				continue
			}
		}
		if err := s.discard(rec.ID); err != nil {
			return err
		}
	}
	return nil
}
