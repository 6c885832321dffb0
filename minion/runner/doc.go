// Package runner runs one deploy.release on this host so that kill -9 at any instant leaves the old release or the new one
// live, never a mixture. How a root holds what is live is its layout's business (layout.go); below is the layout releases,
// copy.go and inplace.go have the other two. A root never changes its layout.
//
// # What is where
//
//	ROOT/current                  relative symlink to the live release, switched by one rename
//	ROOT/releases/ID/             one release; ID is the UTC time and the short digest, so names sort by age
//	ROOT/shared/                  what releases share; they hold links to it
//	ROOT/.staging/JOB/            a release that is being unpacked, or one on its way out
//	ROOT/.brine/lock              held while a job works on the root
//	ROOT/.brine/releases/ID.json  what is known of a release: digest, whether it is good
//	STATE/jobs/JOB.json           the steps of a job: written before each step, kept until the job's return is safe
//	STATE/logs/JOB/NN-EVENT.log   the output of its scripts, each line with its time; bounded
//	STATE/logs/JOB/NN-EVENT.run/  what the supervisor of a script wrote down; package process
//
// # The steps of a job
//
//	fetching -> stopping -> installing -> activating -> starting -> validated -> done
//	    |           \___________\______________\___________\-> reverting ------->/
//	    \----------------------------------------------------------------------->/
//
// Nothing of the live release is touched in fetching: the archive is there, whole and checked, with its appspec and its
// scripts, before anything is stopped. From stopping on a failure, or a dead minion's successor, goes back to the old
// release: the link is switched back and its start scripts run again. Once validated there is no way back any more. The
// failed release stays in its place, for inspection, until the next one fails; it is not counted among those that are kept.
//
// # When the minion is restarted
//
// Scripts run under a supervisor (package process) that outlives the minion. A minion that is stopped leaves its job where
// it is, between two scripts or in one; Recover of the next one says that the job goes on, and Resume waits for the script
// and takes all steps anew, of which those that the journal has as done are passed over. The same goes for a minion that
// was killed while a script ran. Killed elsewhere, or when the supervisor is gone too, as after a reboot, the job is
// interrupted, and Recover goes back to the old release at once.
package runner
