// Package delivery holds the tests of what becomes of a job between a master and its minions: the real daemons, in one
// process, over real sockets.
package delivery
