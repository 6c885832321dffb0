package text

import (
	"strings"
	"text/tabwriter"
)

// Row is one line of a table. Paint, when set, colours the finished line, so that colours do not disturb the columns.
type Row struct {
	Cells []string
	Paint func(string) string
}

// Table aligns rows below a header and gives the lines. An empty cell shows as "-", so that a column is never missed.
func Table(header []string, rows []Row) []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	write := func(cells []string) {
		_, _ = w.Write([]byte(strings.Join(cells, "\t") + "\n")) // a strings.Builder takes everything
	}
	write(header)
	for _, row := range rows {
		cells := make([]string, len(row.Cells))
		for i, cell := range row.Cells {
			if cells[i] = Line(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		write(cells)
	}
	_ = w.Flush()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
		if i > 0 && rows[i-1].Paint != nil {
			lines[i] = rows[i-1].Paint(lines[i])
		}
	}
	return lines
}
