package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// hookRuns is how many runs of three hooks make one figure: one takes some milliseconds.
const hookRuns = 20

// localHooks holds brine-minion local with a bundle of three empty hooks against a shell that runs the three scripts.
func (h *oneHost) localHooks(ctx context.Context, b *bench) error {
	bundle := h.path("bundle")
	if err := os.Mkdir(bundle, 0o755); err != nil {
		return fmt.Errorf("make bundle: %w", err)
	}
	spec, loop := "version: 0.0\nos: linux\nhooks:\n", "set -e\n"
	for _, event := range []string{"BeforeInstall", "AfterInstall", "ApplicationStart"} {
		spec += fmt.Sprintf("  %s:\n    - location: %s.sh\n", event, event)
		loop += filepath.Join(bundle, event+".sh") + "\n"
		if err := os.WriteFile(filepath.Join(bundle, event+".sh"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			return fmt.Errorf("make bundle: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(bundle, "appspec.yml"), []byte(spec), 0o644); err != nil {
		return fmt.Errorf("make bundle: %w", err)
	}
	var ours, theirs []float64
	for range b.reps + 1 {
		d, err := average(func() error {
			cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "brine-minion"), "local", "--bundle", bundle, "--type", "directory",
				"--state-dir", h.path("local"), "--output", "json")
			out, err := cmd.CombinedOutput()
			if err == nil && strings.Count(string(out), ".sh\",")+strings.Count(string(out), ".sh\"]") != 3 {
				err = errors.New("it did not run three hooks")
			}
			if err != nil {
				return fmt.Errorf("brine-minion local: %w: %s", err, out)
			}
			return nil
		})
		if err != nil {
			return err
		}
		ours = append(ours, d)
		d, err = average(func() error { return exec.CommandContext(ctx, "sh", "-c", loop).Run() })
		if err != nil {
			return fmt.Errorf("shell loop: %w", err)
		}
		theirs = append(theirs, d)
	}
	b.report.against("brine-minion local with three empty hooks", median(ours[1:]), "ms", "a shell that runs them", median(theirs[1:]), "<= 5")
	return nil
}

// average gives the milliseconds of one of some runs.
func average(run func() error) (float64, error) {
	begun := time.Now()
	for range hookRuns {
		if err := run(); err != nil {
			return 0, err
		}
	}
	return ms(time.Since(begun)) / hookRuns, nil
}
