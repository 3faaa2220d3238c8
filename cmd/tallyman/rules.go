package main

import (
	"time"

	"tallyman/config"
	"tallyman/rule"
)

// rulesOf composes what the built-in rules are told.
func rulesOf(cfg config.Config) rule.Config {
	d := cfg.Detectors
	r := rule.Defaults()
	r.Quiet = time.Duration(d.Quiet)
	r.BruteForce = rule.Threshold{Over: d.BruteForce.Over, Within: time.Duration(d.BruteForce.Within)}
	for _, one := range []struct {
		name string
		on   bool
	}{{"brute-force", d.BruteForce.On}, {"bounce", d.Bounce.On}, {"data-peer-mismatch", d.DataPeerMismatch.On}, {"plaintext-login", d.PlaintextLogin.On}, {"mount-new", d.MountNew.On}} {
		if !one.on {
			r.Off = append(r.Off, one.name)
		}
	}
	return r
}
