// Package slurm tests package shard and the scripts in examples/slurm with Slurm: a controller and four
// nodes of Debian's slurm-wlm on the loopback interface. It needs root. It contains only tests.
package slurm
