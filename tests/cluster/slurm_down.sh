#!/usr/bin/env bash
# Stops what slurm_up.sh started, by the process numbers that it wrote down.
set -uo pipefail
HOME_DIR=/var/lib/bench-slurm
for file in "$HOME_DIR"/{n1,n2,slurmctld,slurmdbd}.pid /run/mysqld/bench-slurm.pid; do
  [[ -s $file ]] || continue
  pid=$(cat "$file")
  # A number can have been given to another process since.
  if [[ $(cat "/proc/$pid/comm" 2>/dev/null) =~ ^(slurm|mariadb) ]]; then
    kill "$pid" 2>/dev/null
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.2
    done
  fi
  rm -f "$file"
done
munge_pid=/run/munge/munged.pid
if [[ -s $munge_pid && $(cat "/proc/$(cat $munge_pid)/comm" 2>/dev/null) == munged ]]; then
  kill "$(cat $munge_pid)" 2>/dev/null
fi
echo "slurm_down: stopped"
