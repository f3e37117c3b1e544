#!/usr/bin/env bash
# Runs a command on a host that is a node of a Ray cluster, lending it no cores:
#
#   RAY_HEAD=HOST:6379 driver prefect worker start --pool emi
#
# A flow is a driver of Ray, and a driver needs Ray's own processes on its host. If they end, or the
# command does, so does this: what started it starts both anew. SIGTERM goes to the command, once;
# Ray stays until it has ended, so that a run that goes on can end in order.
set -euo pipefail

[ $# -gt 0 ] || { echo "driver: found no command, expected one to run beside Ray" >&2; exit 2; }
head=${RAY_HEAD:?driver: not set, expected HOST:PORT of the head of a Ray cluster}
agent=${RAY_AGENT_PORT:-52365}

ray start --address "$head" --num-cpus 0 --num-gpus 0 --dashboard-agent-listen-port "$agent" \
    --object-store-memory "${RAY_DRIVER_OBJECT_STORE_BYTES:-536870912}" --block &
ray=$!
trap 'kill -TERM "$ray"' TERM INT

# The agent listens once the node has joined.
until (: <"/dev/tcp/127.0.0.1/$agent") 2>/dev/null; do
    kill -0 "$ray" 2>/dev/null || { wait "$ray"; exit 1; }
    sleep 1
done

"$@" &
command=$!
told=
tell() {
    [ -n "$told" ] || kill -TERM "$command" 2>/dev/null || true
    told=yes
}
trap tell TERM INT

status=0
wait -n "$ray" "$command" || status=$?
tell
while kill -0 "$command" 2>/dev/null; do
    wait "$command" || status=$?
done
kill -TERM "$ray" 2>/dev/null || true
wait "$ray" || true
exit "$status"
