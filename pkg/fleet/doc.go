// Package fleet is the vocabulary of brine: every noun that crosses a package border, and nothing else. It imports the
// standard library only. Read this page first; the rest of the tree is detail.
//
// # The system
//
// A master and many minions talk over an encrypted ZeroMQ bus. An [Application] is what is deployed; its [Group]s say
// to which minions and how. A [Revision] is one built archive of it, immutable, named by its [Digest]. A [Deployment] is
// one revision going to one group.
//
// # The path of one deployment
//
//	brine deploy shop production --ref v42                  cmd/brine
//	  resolve   ref -> commit; already stored? skip to plan  master/source
//	  build     export, build steps, pack -> Revision        master/build, pkg/archive
//	  store     encrypt, write once by digest                pkg/store
//	  plan      target x roster -> batches (pure)            pkg/target, master/rollout/plan.go
//	per batch:
//	  drain     out of the pool, connections finish          master/balancer
//	  publish   a signed Job to each minion                  pkg/bus, pkg/wire
//	  run       fetch, verify, unpack, hooks, activate       minion/runner
//	  judge     Returns reach the journal, then a verdict    master/journal, master/rollout/verdict.go
//	  activate  only what passed goes into the pool          master/balancer
//	end: the group's target revision is set, so that newcomers get it; or the deployment is reverted, or it stops
//
// A newcomer (autoscaling) enrols, sends its [Grains], asks for its highstate and walks the same path alone.
//
// # What is promised
//
// A [Return] is kept in the minion's spool until the master has committed it: sent twice, recorded once. A [Job] runs at
// most once; a minion that dies inside one reports it [Interrupted]. The journal is the truth: a restarted master goes
// on with the deployments it finds there, because every step of one can be repeated without harm. Whatever happens is
// one [Record] in the journal's log, and returners, brine watch and the history are views of that log.
//
// # Who knows what
//
// The master holds the keys: one CURVE key for the bus, one Ed25519 key that signs jobs, an age key per application.
// A minion holds its own CURVE key, which is its identity, and learns only what it is sent. The store holds encrypted
// archives and needs no trust.
package fleet
