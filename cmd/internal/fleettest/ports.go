package fleettest

import (
	"fmt"
	"strconv"
	"syscall"
)

// FreePorts reserves TCP ports of the loopback until this process ends: each has a socket that is bound and does not
// listen. The kernel gives such a port to nobody by itself, also while a daemon is restarted, and whoever asks for it with
// SO_REUSEADDR, as Go and HAProxy do, may listen.
func FreePorts(n int) ([]string, error) {
	ports := make([]string, n)
	for i := range ports {
		port, err := reserve()
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		ports[i] = strconv.Itoa(port)
	}
	return ports, nil
}

func reserve() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return name.(*syscall.SockaddrInet4).Port, nil
}
