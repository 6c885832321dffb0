package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/brine-deploy/brine/cmd/brine/progress"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// redraw is how often elapsed times are brought up to date.
const redraw = 250 * time.Millisecond

// liveView redraws a line per minion on the terminal. What is worth keeping (build output, failures) scrolls away above.
type liveView struct {
	program *tea.Program
	ended   chan error
	state   *progress.State // for the lines above; the model has its own for the rows
	paint   palette
}

func newLiveView(c *cli, d fleet.Deployment, interrupt context.CancelFunc) *liveView {
	m := &liveModel{state: progress.New(d), paint: c.err, interrupt: interrupt, width: 80, height: 24}
	// Signals are the caller's. The input is ours: the terminal's answers to queries would end up in the shell otherwise.
	v := &liveView{
		program: tea.NewProgram(m, tea.WithInput(c.stdin), tea.WithOutput(c.stderr), tea.WithoutSignalHandler()),
		ended:   make(chan error, 1),
		state:   progress.New(d),
		paint:   c.err,
	}
	go func() {
		_, err := v.program.Run()
		v.ended <- err
	}()
	return v
}

func (v *liveView) show(r fleet.Record) {
	v.program.Send(r)
	for _, line := range v.state.Apply(r) {
		if stays(r) {
			v.say(v.paint.paint(line))
		}
	}
}

// stays reports whether a record's lines are kept above the rows, which show all else.
func stays(r fleet.Record) bool {
	failed := r.Event != nil && r.Event.Outcome == fleet.EventFailed || r.Phase == fleet.MinionFailed
	return failed || r.Kind == fleet.DeploymentNote || r.Kind == fleet.DeploymentChanged
}

// say prints above the rows. Lines stay in order because each is sent by itself: the commands of a model run side by side.
func (v *liveView) say(line string) { v.program.Send(tea.Println(line)()) }

// close takes the rows away, gives the terminal back and waits until that is done.
func (v *liveView) close() error {
	v.program.Send(closing{})
	if err := <-v.ended; err != nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}

// The messages to the model, beside records.
type (
	closing struct{}
	tick    struct{}
)

type liveModel struct {
	state         *progress.State
	paint         palette
	interrupt     context.CancelFunc
	width, height int
	closed        bool
}

// Init starts the clock.
func (m *liveModel) Init() tea.Cmd { return next() }

func next() tea.Cmd { return tea.Tick(redraw, func(time.Time) tea.Msg { return tick{} }) }

// Update takes in what happened.
func (m *liveModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		return m, next()
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		if key := msg.String(); key == "ctrl+c" || key == "q" {
			m.interrupt()
		}
	case fleet.Record:
		m.state.Apply(msg)
	case closing:
		m.closed = true
		return m, tea.Quit
	}
	return m, nil
}

// View draws the rows.
func (m *liveModel) View() tea.View {
	if m.closed {
		return tea.NewView("")
	}
	var b strings.Builder
	for _, line := range m.state.Rows(time.Now(), m.height-4) {
		b.WriteString(lipgloss.NewStyle().MaxWidth(m.width).Render(m.paint.paint(line)) + "\n")
	}
	return tea.NewView(b.String())
}
