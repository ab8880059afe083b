"""spark-submit jobs/reconcile.py --config FILE: recompute the conformed tables of pending dates."""

import sys

from contactlake.cli import run_job_command

if __name__ == "__main__":
    sys.exit(run_job_command("reconcile"))
