package main

import (
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
)

// fleetFile is a fleet that somebody wrote down.
type fleetFile struct {
	Minions map[fleet.MinionID]struct {
		Grains fleet.Grains   `json:"grains"`
		Pillar map[string]any `json:"pillar"`
		Tags   fleet.Tags     `json:"tags"`
	} `json:"minions"`
	Nodegroups target.Nodegroups `json:"nodegroups"`
}

// targetAnswer is what brine target --fleet gives as JSON.
type targetAnswer struct {
	OK      bool             `json:"ok"`
	Minions []fleet.MinionID `json:"minions"`
	Error   *targetError     `json:"error,omitempty"`
}

type targetError struct {
	Column  int    `json:"column"` // from 1, in characters of the expression
	Message string `json:"message"`
}

func readFleet(name string) (fleetFile, error) {
	var f fleetFile
	file, err := os.Open(name)
	if err != nil {
		return f, usage("", "read fleet: %s", err)
	}
	defer func() { _ = file.Close() }() // read only
	dec := json.NewDecoder(file)
	dec.UseNumber() // 1.0 stays 1.0
	if err := dec.Decode(&f); err != nil {
		return f, usage(`it holds {"minions": {"web1": {"grains": {}}}}`, "read fleet %s: %s", name, err)
	}
	return f, nil
}

func (q targetQuestion) compile(groups target.Nodegroups) (*target.Target, error) {
	if q.list {
		return target.CompileWords(q.kind, q.words, groups)
	}
	return target.Compile(q.kind, q.words[0], q.delimiter, groups)
}

func (c *cli) matchFile(q targetQuestion) error {
	f, err := readFleet(q.fleet)
	if err != nil {
		return err
	}
	answer := targetAnswer{OK: true, Minions: []fleet.MinionID{}}
	compiled, err := q.compile(f.Nodegroups)
	if err != nil {
		return c.badTarget(err)
	}
	for id, m := range f.Minions {
		if compiled.Match(target.Subject{ID: id, Grains: m.Grains, Tags: m.Tags, Pillar: m.Pillar}) {
			answer.Minions = append(answer.Minions, id)
		}
	}
	if err := compiled.Err(); err != nil {
		return c.badTarget(&target.SyntaxError{Expr: compiled.String(), Column: 1, Message: err.Error()})
	}
	slices.Sort(answer.Minions)
	if c.json {
		return c.printJSON(answer)
	}
	for _, id := range answer.Minions {
		if err := c.print(string(id)); err != nil {
			return err
		}
	}
	return nil
}

// badTarget tells where an expression is wrong.
func (c *cli) badTarget(err error) error {
	syntax, ok := errors.AsType[*target.SyntaxError](err)
	if !ok {
		return usage("", "%s", err)
	}
	if !c.json {
		return usage("", "%s\n  %s", syntax, indented(syntax))
	}
	answer := targetAnswer{Minions: []fleet.MinionID{}, Error: &targetError{syntax.Column, syntax.Message}}
	if err := c.printJSON(answer); err != nil {
		return err
	}
	return exit(fleet.ExitUsage)
}
