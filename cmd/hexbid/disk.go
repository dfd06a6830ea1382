package main

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// watchDisk registers the room that is left on the disk of the data folder.
func (m *Main) watchDisk() {
	if m.Config.Data == "" {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "hexbid_disk_free_bytes",
		Help: "Room on the disk of the data folder for processes of no privilege; -1 when the disk does not say."},
		func() float64 {
			usage, err := vfs.Default.GetDiskUsage(m.Config.Data)
			if err != nil {
				return -1
			}
			return float64(usage.AvailBytes)
		}))
}
