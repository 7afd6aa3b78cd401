#!/bin/bash
# An audit on a SLURM cluster: one job plans, an array of them answers, one merges. Run it on a login node:
#
#     bash examples/slurm_audit.sh audit.toml 16
#
# audit.toml holds the options of `mmaudit audit` (see `mmaudit audit --help`); its `out` is a folder that every node
# reaches, or a URL. 16 is the number of array tasks. Each task has every 16th shard. SLURM warns a task 180 s before its
# time is over (--signal): the task finishes the shard at hand, and is put into the queue again until its share is done.
#
# Each task asks for one GPU: GRES= for none, GRES=gpu:a100:1 for a certain one. What sbatch is not told here it takes
# from your environment: SBATCH_PARTITION, SBATCH_ACCOUNT.
#
# The same file is the script of all three jobs: what to do is in STEP, which it gives to itself.
set -euo pipefail

if [ -z "${STEP:-}" ]; then
    config=${1:?"usage: slurm_audit.sh AUDIT.TOML SHARES"}
    shares=${2:?"usage: slurm_audit.sh AUDIT.TOML SHARES"}
    export CONFIG=$config SHARES=$shares
    gres=${GRES-gpu:1}
    # Where a step fails, the next ones leave the queue.
    common=(--parsable --export=ALL --kill-on-invalid-dep=yes)
    plan=$(STEP=plan sbatch "${common[@]}" --job-name=mmaudit-plan --output=%x-%j.log --time=00:30:00 --mem=16G "$0")
    work=$(STEP=work sbatch "${common[@]}" --job-name=mmaudit-work --output=%x-%A_%a.log \
        --dependency="afterok:${plan%%;*}" --array="1-$shares" --time=04:00:00 --mem=32G --cpus-per-task=4 \
        ${gres:+"--gres=$gres"} --requeue --open-mode=append --signal=B:TERM@180 "$0")
    merge=$(STEP=merge sbatch "${common[@]}" --job-name=mmaudit-merge --output=%x-%j.log \
        --dependency="afterok:${work%%;*}" --time=02:00:00 --mem=32G --cpus-per-task=8 "$0")
    echo "plan ${plan%%;*}, work ${work%%;*}, merge ${merge%%;*}"
    exit
fi

# Threads of PyTorch and NumPy: what the job was given.
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

case $STEP in
plan | merge)
    exec mmaudit "$STEP" --config "$CONFIG"
    ;;
work)
    mmaudit work --config "$CONFIG" --shard "$SLURM_ARRAY_TASK_ID/$SHARES" &
    worker=$!
    # SLURM signals this shell alone (B:); `wait` returns at once, and again when the worker has finished its shard.
    trap 'kill -TERM "$worker"' TERM
    code=0
    wait "$worker" || code=$?
    if kill -0 "$worker" 2>/dev/null; then
        code=0
        wait "$worker" || code=$?
    fi
    if [ "$code" -eq 143 ]; then # ended before its share was done
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
        exit 0
    fi
    exit "$code"
    ;;
esac
