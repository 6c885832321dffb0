package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// stamp is how the agent's lines begin.
const stamp = "2006-01-02 15:04:05 "

// tailSize is what CodeDeploy takes of a log, in characters.
const tailSize = 2048

// scriptLog is scripts.log of one deployment, and its tail.
type scriptLog struct {
	file string
	tail []string
	size int // characters
}

func newLog(dir string) (*scriptLog, error) {
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	return &scriptLog{file: filepath.Join(logs, "scripts.log")}, os.WriteFile(filepath.Join(logs, "scripts.log"), nil, 0o600)
}

// say writes a line of our own.
func (l *scriptLog) say(line string) error {
	l.remember(line)
	f, err := os.OpenFile(l.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	_, err = f.WriteString(time.Now().Format(stamp) + line + "\n")
	if err := f.Close(); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return err
}

func (l *scriptLog) remember(line string) {
	line += "\n"
	l.tail = append(l.tail, line)
	l.size += utf8.RuneCountInString(line)
	drop := 0
	for l.size >= tailSize && drop < len(l.tail) {
		l.size -= utf8.RuneCountInString(l.tail[drop])
		drop++
	}
	l.tail = l.tail[drop:]
}

func (l *scriptLog) String() string { return strings.Join(l.tail, "") }
