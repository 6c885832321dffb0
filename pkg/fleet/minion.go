package fleet

import "time"

// Grains are the facts that a minion reports of itself: text, numbers, bools, lists and maps of these.
type Grains map[string]any

// Tags are the labels that a host's owner or its cloud gave it.
type Tags map[string]string

// KeyState says what a minion's key may do.
type KeyState string

// The states of a key. Only an accepted key may do more than enrol.
//
//	pending --accept--> accepted --revoke--> revoked
//	   \-----reject---> rejected --accept, by its fingerprint--> accepted
const (
	KeyPending  KeyState = "pending"
	KeyAccepted KeyState = "accepted"
	KeyRejected KeyState = "rejected"
	KeyRevoked  KeyState = "revoked"
)

// MinionKey is one line of the keyring.
type MinionKey struct {
	ID          MinionID    `json:"id"`
	Key         Key         `json:"key"`
	Fingerprint Fingerprint `json:"fingerprint"`
	State       KeyState    `json:"state"`
	Since       time.Time   `json:"since"` // when it got into this state
	By          string      `json:"by"`    // who put it there: a person, "token:NAME", or the minion itself when pending
	From        string      `json:"from"`  // the address that it enrolled from
}

// Minion is one accepted host as the master knows it.
type Minion struct {
	ID        MinionID  `json:"id"`
	Grains    Grains    `json:"grains"`
	Tags      Tags      `json:"tags"`
	Version   string    `json:"version"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`          // of the last change of Connected; zero: never connected
	LastSeen  time.Time `json:"last_seen"`      // of the last message
	Drained   bool      `json:"drained"`        // taken out of its pools by a person
	Warm      bool      `json:"warm,omitempty"` // of its cloud's warm pool: it gets revisions, but enters no pool
	Vitals    *Vitals   `json:"vitals,omitempty"`
}

// Vitals are what the master knows of a minion only while it is connected. It measures at the beginning of a connection
// and every few minutes.
type Vitals struct {
	Address   string  `json:"address"`                 // where it connects from
	RoundTrip float64 `json:"round_trip_ms,omitempty"` // zero: not measured yet
	ClockSkew float64 `json:"clock_skew_ms"`           // its clock minus the master's
	Spooled   int     `json:"spooled"`                 // returns that the master has not acknowledged
	Dropped   uint64  `json:"dropped,omitempty"`       // progress of jobs that a full spool has lost since the minion's start
}
