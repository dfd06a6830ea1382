// Package deploy is what operators install Hexbid with: a systemd unit, an image, Kubernetes manifests, alert rules and
// a dashboard. Its tests compare each with the program, so that a renamed metric, flag or port fails the build. It is a
// module of its own, because the checks need libraries that the program does not.
package deploy
