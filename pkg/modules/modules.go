// Package modules holds execution functions, Salt's word for what a minion can be asked: test.ping, grains.get,
// cmd.run, ... People run them (brine run), templates call them (salt['grains.get']('os')), module.run does.
//
// A family is a file with a function that returns its table; all of them are listed in All. What changes the host is
// marked, so that the master, which renders pillar, offers none of it.
package modules

import (
	"context"
	"io"
	"io/fs"
	"log/slog"

	"github.com/brine-deploy/brine/pkg/data"
)

// Function is one execution function.
type Function struct {
	Doc    string   // the first line says what it gives; then arguments and an example, as brine doc shows them
	Params []string // names of its parameters in their order, for arguments by place; a last "*" takes any more
	// Changes says that it changes the host, or runs what may.
	Changes bool
	// Run gives a value of package data. What gives back its first argument has changed that map, as some of Salt's do; all
	// else is left alone. Args hold all arguments by name; those beyond Params are in "*".
	Run func(ctx context.Context, env *Env, args *data.Map) (any, error)
}

// Env is what functions and templates see of their minion. It is read only once made.
type Env struct {
	ID      string
	Grains  *data.Map
	Pillar  *data.Map
	Opts    *data.Map // Salt's names for what a minion is configured to do
	Saltenv string    // "base" unless told otherwise
	Files   Files     // may be nil: no file server
	Cache   string    // directory for fetched files
	Log     *slog.Logger
	// Functions lists what may be called, by name; it is what salt[...] offers.
	Functions map[string]Function
}

// Files are the files of a saltenv, as salt:// names them. Names are relative, with slashes, and cannot leave the roots.
// Methods may be called concurrently.
type Files interface {
	// Open opens a file for reading. The error is fs.ErrNotExist when no root has it.
	Open(ctx context.Context, saltenv, name string) (io.ReadCloser, fs.FileInfo, error)
	// List gives the names of all files below a directory ("" for all), sorted. Empty directories end in a slash.
	List(ctx context.Context, saltenv, dir string) ([]string, error)
	// Environments gives the saltenvs that have roots.
	Environments(ctx context.Context) ([]string, error)
}
