#!/usr/bin/env bash
# A real Slurm with accounting on this one machine, from Debian packages, without systemd. For the tests
# marked `slurm`: controller, accounting daemon and two nodes, all on loopback. As root; again = no-op.
#
#   tests/cluster/slurm_up.sh [--accounting on|off]     off: sacct does not answer, as on some sites
#
# Exit codes: 0 Slurm answers, 3 the packages cannot be installed here, 1 something did not start.
# Its processes are stopped by slurm_down.sh; logs are in /var/log/bench-slurm.
set -euo pipefail

accounting=on
if [[ ${1:-} == --accounting ]]; then accounting=$2; fi
HOME_DIR=/var/lib/bench-slurm
LOGS=/var/log/bench-slurm
CONF=/etc/slurm
MARK="# written by tests/cluster/slurm_up.sh"

if [[ $(id -u) != 0 ]]; then echo "slurm_up: needs root" >&2; exit 3; fi
if [[ -e $CONF/slurm.conf ]] && ! grep -qF "$MARK" "$CONF/slurm.conf"; then
  echo "slurm_up: $CONF/slurm.conf belongs to another Slurm; left alone" >&2
  exit 3
fi

needed=(slurmctld slurmd slurmdbd mariadbd munged sbatch sacct)
missing=()
for program in "${needed[@]}"; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if ((${#missing[@]})); then
  command -v apt-get >/dev/null || { echo "slurm_up: no ${missing[*]}, and no apt-get" >&2; exit 3; }
  export DEBIAN_FRONTEND=noninteractive
  # Nothing may start by itself: this machine may have no init system.
  apt-get update -q && apt-get install -qy --no-install-recommends \
    slurm-wlm slurm-wlm-basic-plugins slurm-client slurmdbd mariadb-server mariadb-client munge ||
    { echo "slurm_up: the Debian packages could not be installed" >&2; exit 3; }
fi

running() { [[ -s $1 ]] && kill -0 "$(cat "$1")" 2>/dev/null; }
wait_for() { # seconds, what, command...
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > until)); then echo "slurm_up: $what did not answer; see $LOGS" >&2; exit 1; fi
    sleep 0.3
  done
}

mkdir -p "$HOME_DIR"/{ctld,n1,n2} "$LOGS" /run/munge /run/mysqld "$CONF"
host=$(hostname -s)
cpus=$(nproc)
memory=$(awk '/MemTotal/ {print int($2 / 1024 / 2)}' /proc/meminfo)

# --- munge: who is who
if [[ ! -s /etc/munge/munge.key ]]; then
  mkdir -p /etc/munge
  dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
fi
chown -R munge:munge /etc/munge /run/munge /var/lib/munge /var/log/munge
chmod 400 /etc/munge/munge.key
if ! munge -n >/dev/null 2>&1; then
  runuser -u munge -- "$(command -v munged)" --force
fi
wait_for 20 munged munge -n

# --- accounting: mariadb and slurmdbd
if [[ $accounting == on ]]; then
  chown mysql:mysql /run/mysqld
  if ! mariadb-admin ping >/dev/null 2>&1; then
    [[ -d /var/lib/mysql/mysql ]] || mariadb-install-db --user=mysql >"$LOGS/mariadb-install.log" 2>&1
    setsid mariadbd --user=mysql --skip-networking --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
      --pid-file=/run/mysqld/bench-slurm.pid >"$LOGS/mariadbd.log" 2>&1 </dev/null &
  fi
  wait_for 60 mariadbd mariadb-admin ping
  install -m 600 /dev/null "$CONF/slurmdbd.conf"
  cat >"$CONF/slurmdbd.conf" <<END
$MARK
DbdHost=localhost
DbdAddr=127.0.0.1
SlurmUser=root
AuthType=auth/munge
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
LogFile=$LOGS/slurmdbd.log
PidFile=$HOME_DIR/slurmdbd.pid
END
  storage="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=0"
else
  storage="AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none"
fi

# --- Slurm: two nodes that claim more processors than there are, for the tests' jobs are small
cat >"$CONF/slurm.conf.new" <<END
$MARK (accounting $accounting)
ClusterName=bench
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
KillWait=15
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=30
SlurmctldPidFile=$HOME_DIR/slurmctld.pid
SlurmdPidFile=$HOME_DIR/%n.pid
StateSaveLocation=$HOME_DIR/ctld
SlurmdSpoolDir=$HOME_DIR/%n
SlurmctldLogFile=$LOGS/slurmctld.log
SlurmdLogFile=$LOGS/%n.log
$storage
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=$((cpus * 2)) RealMemory=$memory State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=$((cpus * 2)) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n1,n2 Default=NO MaxTime=INFINITE State=UP PriorityTier=10
END
if ! cmp -s "$CONF/slurm.conf.new" "$CONF/slurm.conf"; then # another kind: start anew
  for daemon in n1 n2 slurmctld; do
    if running "$HOME_DIR/$daemon.pid"; then
      pid=$(cat "$HOME_DIR/$daemon.pid")
      kill "$pid" || true
      while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
    fi
  done
fi
mv "$CONF/slurm.conf.new" "$CONF/slurm.conf"

if [[ $accounting == on ]]; then
  running "$HOME_DIR/slurmdbd.pid" || slurmdbd
  wait_for 60 slurmdbd sacctmgr -n show cluster
  sacctmgr -n show cluster bench format=cluster | grep -q bench || sacctmgr -i add cluster bench >/dev/null || true
fi
running "$HOME_DIR/slurmctld.pid" || slurmctld
wait_for 60 slurmctld scontrol ping
for node in n1 n2; do
  running "$HOME_DIR/$node.pid" || slurmd -N "$node"
done
nodes_up() { [[ $(sinfo -h -N -p main -o %t | grep -cE '^(idle|mix|alloc|comp)$') == 2 ]]; }
for node in n1 n2; do # a node that a killed test left drained or down
  state=$(sinfo -h -n "$node" -o %t | head -1)
  case $state in idle* | mix* | alloc* | comp*) ;; *) scontrol update NodeName="$node" State=RESUME 2>/dev/null || true ;; esac
done
wait_for 60 "the nodes" nodes_up
echo "slurm_up: Slurm $(sinfo --version | cut -d' ' -f2) answers (accounting $accounting): $(sinfo -h -o '%P %N %C' | tr '\n' ';')"
