"""Runs on a cluster: submitted, found again, continued after what clusters do to jobs.

May import everything but the reports and the command line. Start reading at ``submit.py``, then ``job.py``.

site.py         where and with what a job runs: a TOML file, then the command line
snapshot.py     a copy of the source, so that queued jobs do not pick up later edits
launches.py     what was submitted, as typed files below RUNS/launches
arrays.py       jobs of equal resources, put together as a scheduler takes them
submit.py       requests -> what there is to do -> a launch, handed to its backend
submit_lock.py  two commands at once submit no run twice
backends/       slurm, local, debug: one file each, behind one interface
bootstrap.py    the first lines of a job's process: which source, which threads, signals from the first moment on
job_start.py    what these lines noted
plain_folder.py a launch's folder by a path that submitit can read
job.py          what a job does: one run through bench.runs.runner, stopped and continued by signals
ranks.py        what the processes of one job note about themselves
status.py       backend, records and leases together: the one answer to "how is it going"
rows.py         the row of a run in that answer
post_mortem.py  the record of a job that could not write its own
select.py       which runs a verb acts on
control.py      cancelling, retrying, logs
"""
