package engine

import (
	"fmt"
	"time"

	"tallyman/source/tftp/packet"
)

// Config holds the limits of one server. A machine copies what it needs; the zero value is not usable, begin
// with Defaults.
type Config struct {
	MaxBlockSize  int           // octets: the largest blksize granted, 8..65464 (RFC 2348)
	MaxWindow     int           // blocks: the largest windowsize granted, 1..32767 (RFC 7440; numbers of 16 bit)
	MaxReadWindow int           // octets of DATA a read may have in flight; one block is always granted
	ReceiveBuffer int           // octets the transfer socket's receive buffer holds (SO_RCVBUF as read back)
	GiveUp        time.Duration // no progress for so long ends a transfer, 1 s or more
	MinRTO        time.Duration // floor of the measured retransmission timer, above 0
	MaxRTO        time.Duration // ceiling of the measured retransmission timer, at least MinRTO
	Dally         time.Duration // how long a finished upload still answers a repeated last DATA, 0 or more
}

// Defaults are the limits of a server whose sockets have the kernel's default buffers (212,992 octets on Linux).
// The dally outlasts the 5 s timer of tftp-hpa and curl.
func Defaults() Config {
	return Config{
		MaxBlockSize:  packet.MaxBlockSize,
		MaxWindow:     64,
		MaxReadWindow: 96 << 10,
		ReceiveBuffer: 212992,
		GiveUp:        60 * time.Second,
		MinRTO:        30 * time.Millisecond,
		MaxRTO:        4 * time.Second,
		Dally:         6 * time.Second,
	}
}

// Validate names the first limit that is out of its range.
func (c Config) Validate() error {
	switch {
	case c.MaxBlockSize < packet.MinBlockSize || c.MaxBlockSize > packet.MaxBlockSize:
		return fmt.Errorf("largest block size is %d octets, must be 8..65464", c.MaxBlockSize)
	case c.MaxWindow < 1 || c.MaxWindow > maxWindow:
		return fmt.Errorf("largest window is %d blocks, must be 1..%d", c.MaxWindow, maxWindow)
	case c.MaxReadWindow < 1 || c.ReceiveBuffer < 1:
		return fmt.Errorf("window of a read is %d octets, receive buffer %d: both must be positive", c.MaxReadWindow, c.ReceiveBuffer)
	case c.GiveUp < time.Second:
		return fmt.Errorf("give-up time is %v, must be 1s or more", c.GiveUp)
	case c.MinRTO <= 0 || c.MaxRTO < c.MinRTO:
		return fmt.Errorf("retransmission timer is %v..%v, must be above 0 and in this order", c.MinRTO, c.MaxRTO)
	case c.Dally < 0:
		return fmt.Errorf("dally time is %v, must not be negative", c.Dally)
	}
	return nil
}
