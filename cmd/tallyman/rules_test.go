package main

import (
	"slices"
	"testing"
	"time"

	"tallyman/config"
	"tallyman/rule"
)

func TestDetectorsOfTheConfigurationReachTheRules(t *testing.T) {
	got, want := rulesOf(config.Defaults()), rule.Defaults()
	if got.BruteForce != want.BruteForce || got.Quiet != want.Quiet || got.Keys != want.Keys || len(got.Off) > 0 {
		t.Errorf("by default %+v, want %+v", got, want)
	}
	c := config.Defaults()
	c.Detectors = config.Detectors{Quiet: config.Duration(time.Hour), BruteForce: config.BruteForce{On: true, Over: 2, Within: config.Duration(time.Minute)}}
	got = rulesOf(c)
	if got.BruteForce != (rule.Threshold{Over: 2, Within: time.Minute}) || got.Quiet != time.Hour {
		t.Errorf("%+v", got)
	}
	c.Detectors.BruteForce.On = false
	if off := rulesOf(c).Off; !slices.Equal(off, rule.Names()) {
		t.Errorf("off are %v, want all of %v", off, rule.Names())
	}
}
