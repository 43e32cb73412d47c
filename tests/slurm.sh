#!/bin/sh
# A Slurm of one node, for as long as a command runs: tests/slurm.sh COMMAND…
#
# Needs root and Debian's munge and slurm-wlm. Keys, ports, state and logs are its own, in a folder of
# /tmp; nothing of the machine's own Slurm or munge is touched, and all of it ends with the command.
# The command finds it through SLURM_CONF.
set -eu
folder=$(mktemp -d /tmp/slurm-XXXXXX)
daemons=
finish() {
    trap - EXIT INT TERM
    # Jobs would outlive the daemons; before there are any, this would ask the machine's own Slurm.
    left=0
    if [ -n "$daemons" ]; then
        scancel --user=root 2>/dev/null || true
        left=20
    fi
    while [ "$left" -gt 0 ] && squeue --noheader 2>/dev/null | grep -q .; do
        left=$((left - 1))
        sleep 0.5
    done
    for daemon in $daemons; do kill "$daemon" 2>/dev/null || true; done
    for daemon in $daemons; do wait "$daemon" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 143' INT TERM

host=$(hostname -s)
mkdir -p "$folder/state" "$folder/spool"
# munged refuses folders that nobody else may look into.
chmod 755 "$folder"

free_ports() {
    "${PYTHON:-python3}" - <<'PY'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in held))
PY
}
read -r controller node <<PORTS
$(free_ports)
PORTS
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)

head -c 128 /dev/urandom >"$folder/munge.key"
chmod 400 "$folder/munge.key"
cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_interval=2
ReturnToService=2
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=only Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$folder/slurm.conf"

munged --foreground --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
    --seed-file="$folder/munged.seed" --num-threads=2 2>"$folder/munged.err" &
daemons=$!
while ! [ -S "$folder/munge.socket" ]; do
    kill -0 "$daemons" || { cat "$folder/munged.err" "$folder/munged.log" >&2; exit 1; }
    sleep 0.1
done
slurmctld -D -c 2>"$folder/slurmctld.err" &
daemons="$! $daemons"
slurmd -D -c 2>"$folder/slurmd.err" &
daemons="$! $daemons"

tries=0
until sinfo --noheader --format=%T 2>/dev/null | grep -q idle; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        echo "slurm.sh: the node does not come up" >&2
        tail -n 20 "$folder"/*.err "$folder"/*.log >&2
        exit 1
    fi
    sleep 0.5
done
"$@"
