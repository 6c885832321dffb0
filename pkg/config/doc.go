// Package config loads what users configure, strictly and once, into plain structs: flag over environment over file over
// default. It is the only home of viper and pflag.
//
// A setting such as bus.listen of master.yml is the flag --bus-listen and the environment's BRINE_BUS_LISTEN. Only single
// values can be set like this. Maps (tags, grains, balancers, ...) live in the file alone and never go through viper, which
// would lower-case their keys.
//
// Every mistake in a file is told with file, line, column and the line itself, all of them at once.
package config
