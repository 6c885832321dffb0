package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Strategy says how a group is rolled. Minions go in batches; a canary and zones put pauses between them.
type Strategy struct {
	Batch       Amount   `yaml:"batch" json:"batch"`               // minions at once; 1 when zero
	Window      bool     `yaml:"window" json:"window,omitempty"`   // rolling: the next minion begins as soon as one of the Batch that are under way is done
	MinHealthy  Amount   `yaml:"min_healthy" json:"min_healthy"`   // minions that must stay in service
	MaxFailures int      `yaml:"max_failures" json:"max_failures"` // failed minions that do not stop the rollout
	NoRevert    bool     `yaml:"no_revert" json:"no_revert"`       // leave a failed deployment as it is
	LostAfter   Duration `yaml:"lost_after" json:"lost_after"`     // a minion disconnected this long inside its job has failed; 1 minute when zero
	Timeout     Duration `yaml:"timeout" json:"timeout,omitempty"` // of the whole deployment, pauses included; no limit when zero
	Canary      *Canary  `yaml:"canary" json:"canary,omitempty"`
	Zones       *Zones   `yaml:"zones" json:"zones,omitempty"`
	Gate        *Gate    `yaml:"gate" json:"gate,omitempty"`

	OnFailure string   `yaml:"on_failure" json:"on_failure,omitempty"` // "ask": a minion that fails holds the rollout up until somebody decides (brine decide)
	Within    Duration `yaml:"within" json:"within,omitempty"`         // for that; 1 hour when zero, then it is aborted

	BlueGreen *BlueGreen `yaml:"blue_green" json:"blue_green,omitempty"`
}

// HasMinimum reports whether minions must stay in service.
func (s Strategy) HasMinimum() bool {
	return s.MinHealthy.Value > 0 || s.Zones != nil && s.Zones.MinHealthy.Value > 0
}

// BlueGreen deploys to the side of a group that does not serve, and then lets it serve instead of the other. Who is of
// neither side is not deployed to.
type BlueGreen struct {
	Blue    string   `yaml:"blue" json:"blue"`                 // target of one side
	Green   string   `yaml:"green" json:"green"`               // target of the other
	Approve bool     `yaml:"approve" json:"approve,omitempty"` // a person has to say yes before the switch (brine approve)
	Within  Duration `yaml:"within" json:"within,omitempty"`   // for that; 1 hour when zero, then it is a no
	Unmixed bool     `yaml:"unmixed" json:"unmixed,omitempty"` // never both sides at once: only with a balancer that switches in one step
	Keep    Duration `yaml:"keep" json:"keep,omitempty"`       // how long the other side could be switched back to at once, and is watched for
	Release []string `yaml:"release" json:"release,omitempty"` // command and arguments that the master runs after that, to give the hosts back
}

// Side is one half of a blue/green group.
type Side string

// The sides.
const (
	Blue  Side = "blue"
	Green Side = "green"
)

// Other is the other one.
func (s Side) Other() Side {
	if s == Blue {
		return Green
	}
	return Blue
}

// Target is the target of a side.
func (b BlueGreen) Target(s Side) string {
	if s == Blue {
		return b.Blue
	}
	return b.Green
}

// Canary is the minions that get a revision before all others, and what must come true before those follow. A rollback
// has none.
type Canary struct {
	Amount  Amount   `yaml:"amount" json:"amount"`             // 1 when zero
	Bake    Duration `yaml:"bake" json:"bake,omitempty"`       // time to watch them
	Approve bool     `yaml:"approve" json:"approve,omitempty"` // a person has to say yes (brine approve)
	Within  Duration `yaml:"within" json:"within,omitempty"`   // for that; 1 hour when zero, then it is a no
}

// Zones are rolled one after the other, each whole before the next begins.
type Zones struct {
	By         string   `yaml:"by" json:"by"`                            // the grain that names a minion's zone
	First      Duration `yaml:"first" json:"first,omitempty"`            // time to watch the first zone before the second
	Then       Duration `yaml:"then" json:"then,omitempty"`              // the same for each other
	MinHealthy Amount   `yaml:"min_healthy" json:"min_healthy,omitzero"` // minions of one zone that must stay in service
}

// Gate is what must hold beyond the minions' returns and the balancer's health.
type Gate struct {
	Checks []HealthCheck `yaml:"checks" json:"checks,omitempty"` // of each minion, after it was validated and before it serves
	Alarms []Alarm       `yaml:"alarms" json:"alarms,omitempty"` // of the application, from the first batch to the end
}

// HealthCheck asks one minion's service from the master: exactly one of HTTP, TCP and Script. All may hold {id},
// {grains.NAME} and {tags.NAME}.
type HealthCheck struct {
	HTTP      string   `yaml:"http" json:"http,omitempty"`           // URL that answers 2xx
	TCP       string   `yaml:"tcp" json:"tcp,omitempty"`             // host:port that takes connections
	Script    []string `yaml:"script" json:"script,omitempty"`       // command and arguments, run on the master, that exits with 0
	Successes int      `yaml:"successes" json:"successes,omitempty"` // needed one after the other; 1 when zero
	Interval  Duration `yaml:"interval" json:"interval,omitempty"`   // between two tries; 1 s when zero
	Timeout   Duration `yaml:"timeout" json:"timeout,omitempty"`     // of all tries; 1 minute when zero
}

// Alarm is something that tells how the application does: exactly one of URL, Prometheus and CloudWatch. One that
// cannot be asked, or has no data, is inconclusive: the rollout waits for it, and lets nothing pass.
type Alarm struct {
	Name       string   `yaml:"name" json:"name"`
	URL        string   `yaml:"url" json:"url,omitempty"`               // 2xx: quiet; 4xx, 5xx: it sounds
	Prometheus string   `yaml:"prometheus" json:"prometheus,omitempty"` // base URL of the server; Query goes with it
	Query      string   `yaml:"query" json:"query,omitempty"`           // of its instant API; every series counts
	Above      *float64 `yaml:"above" json:"above,omitempty"`           // it sounds when a value is above
	Below      *float64 `yaml:"below" json:"below,omitempty"`           // or below
	CloudWatch string   `yaml:"cloudwatch" json:"cloudwatch,omitempty"` // name of the alarm
	Region     string   `yaml:"region" json:"region,omitempty"`         // of CloudWatch; the master's own when empty
	For        Duration `yaml:"for" json:"for,omitempty"`               // it must sound that long without a break
}

// Freeze is a time in which nothing is deployed: from one instant to another, or again and again.
type Freeze struct {
	Reason string   `yaml:"reason" json:"reason"`
	From   string   `yaml:"from" json:"from,omitempty"` // RFC 3339, or a date, which is its midnight
	To     string   `yaml:"to" json:"to,omitempty"`
	Cron   string   `yaml:"cron" json:"cron,omitempty"` // five fields: when it begins
	For    Duration `yaml:"for" json:"for,omitempty"`   // how long it lasts then
	Zone   string   `yaml:"zone" json:"zone,omitempty"` // of Cron and of dates, such as Europe/Amsterdam; UTC when empty
}

// Override changes a group's strategy for one deployment: what is nil stays as configured.
type Override struct {
	Batch       *Amount   `json:"batch,omitempty"`
	Window      *bool     `json:"window,omitempty"`
	MinHealthy  *Amount   `json:"min_healthy,omitempty"`
	MaxFailures *int      `json:"max_failures,omitempty"`
	NoRevert    *bool     `json:"no_revert,omitempty"`
	Timeout     *Duration `json:"timeout,omitempty"`
	Canary      *Canary   `json:"canary,omitempty"`
	NoCanary    bool      `json:"no_canary,omitempty"`
}

// Apply returns the strategy with the changes.
func (o *Override) Apply(s Strategy) Strategy {
	if o == nil {
		return s
	}
	replace(&s.Batch, o.Batch)
	replace(&s.Window, o.Window)
	replace(&s.MinHealthy, o.MinHealthy)
	replace(&s.MaxFailures, o.MaxFailures)
	replace(&s.NoRevert, o.NoRevert)
	replace(&s.Timeout, o.Timeout)
	if o.Canary != nil {
		s.Canary = o.Canary
	}
	if o.NoCanary {
		s.Canary = nil
	}
	return s
}

func replace[T any](field, by *T) {
	if by != nil {
		*field = *by
	}
}

// Amount is a number of minions: a count ("2"), a percentage of the group ("25%"), "half" or "all". The zero value is zero.
type Amount struct {
	Value   int
	Percent bool
}

// ParseAmount reads "2", "25%", "half" or "all".
func ParseAmount(s string) (Amount, error) {
	switch s {
	case "all":
		return Amount{Value: 100, Percent: true}, nil
	case "half":
		return Amount{Value: 50, Percent: true}, nil
	}
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || percent && n > 100 {
		return Amount{}, fmt.Errorf("%q is not a count, a percentage from 0%% to 100%%, half or all", s)
	}
	return Amount{Value: n, Percent: percent}, nil
}

// Of returns the amount of total minions that must be there. A percentage is rounded up, as CodeDeploy does.
func (a Amount) Of(total int) int {
	if !a.Percent {
		return a.Value
	}
	return int(math.Ceil(float64(total) * float64(a.Value) / 100))
}

// AtOnce returns the amount of total minions that may be worked on at once: 1 at least. A percentage is rounded down, as
// CodeDeploy does for half of a fleet.
func (a Amount) AtOnce(total int) int {
	if !a.Percent {
		return max(1, a.Value)
	}
	return max(1, total*a.Value/100)
}

// String is the inverse of ParseAmount.
func (a Amount) String() string {
	if a.Percent {
		return strconv.Itoa(a.Value) + "%"
	}
	return strconv.Itoa(a.Value)
}

// MarshalText encodes a for JSON and YAML.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText decodes a from JSON and YAML.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}

// Pause is what comes after a batch: a time to watch, or the word of a person.
type Pause struct {
	After   int       `json:"after"` // the batch's number, from 0
	Stage   string    `json:"stage"` // what is watched: "canary", "zone eu-1a"
	Bake    Duration  `json:"bake,omitempty"`
	Approve bool      `json:"approve,omitempty"`
	Within  Duration  `json:"within,omitempty"`
	Since   time.Time `json:"since,omitzero"` // when it began
	Done    bool      `json:"done,omitempty"`
	Answer  *Answer   `json:"answer,omitempty"`
}

// Answer is what a person said to a pause.
type Answer struct {
	Approved bool      `json:"approved"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Reason   string    `json:"reason,omitempty"`
}

// Stop is a person's order, or the time's, that a deployment ends before it is done.
type Stop struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	Now    bool      `json:"now,omitempty"`    // the jobs that run are killed; else they finish
	Revert bool      `json:"revert,omitempty"` // bring the revision before back
}

// Lock keeps deployments off a group, or off all groups of an application when Group is empty.
type Lock struct {
	App    AppName   `json:"app"`
	Group  GroupName `json:"group,omitempty"`
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // the end of its lease; zero: until it is unlocked
}

// Holds reports whether the lock is in force.
func (l Lock) Holds(now time.Time) bool { return l.Until.IsZero() || now.Before(l.Until) }
