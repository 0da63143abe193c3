"""Runs on a cluster: submitted, found again, continued after what clusters do to jobs.

site.py       where and with what a job runs: a TOML file, then the command line
snapshot.py   a copy of the source, so that queued jobs do not pick up later edits
launches.py   what was submitted, as files below RUNS/launches
submit.py     requests -> what there is to do -> one array per resource shape, through submitit
job.py        what a job does: one request through bench.runs.runner, stopped and continued by signals
local.py      the same jobs as processes of this machine, a bounded number at once
scheduler.py  what Slurm (or this machine) says about jobs
status.py     scheduler, records and claims together: the one answer to "how is it going"
"""
