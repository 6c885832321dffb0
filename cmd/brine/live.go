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
}

func newLiveView(c *cli, state *progress.State, interrupt context.CancelFunc) *liveView {
	m := &liveModel{state: state, paint: c.err, interrupt: interrupt, width: 80, height: 24}
	// Signals are the caller's. The input is ours: the terminal's answers to queries would end up in the shell otherwise.
	v := &liveView{
		program: tea.NewProgram(m, tea.WithInput(c.stdin), tea.WithOutput(c.stderr), tea.WithoutSignalHandler()),
		ended:   make(chan error, 1),
	}
	go func() {
		_, err := v.program.Run()
		v.ended <- err
	}()
	return v
}

func (v *liveView) show(r fleet.Record) { v.program.Send(r) }

func (v *liveView) say(line string) { v.program.Send(said(line)) }

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
	said    string
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
	case said:
		return m, tea.Println(string(msg))
	case fleet.Record:
		return m, m.keep(msg, m.state.Apply(msg))
	case closing:
		m.closed = true
		return m, tea.Quit
	}
	return m, nil
}

// keep prints the lines that have to stay above the rows.
func (m *liveModel) keep(r fleet.Record, lines []progress.Line) tea.Cmd {
	failed := r.Event != nil && r.Event.Outcome == fleet.EventFailed || r.Phase == fleet.MinionFailed
	if len(lines) == 0 || r.Kind != fleet.DeploymentNote && r.Kind != fleet.DeploymentChanged && !failed {
		return nil
	}
	painted := make([]any, 0, len(lines))
	for _, line := range lines {
		painted = append(painted, m.paint.paint(line))
	}
	return tea.Println(painted...)
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
