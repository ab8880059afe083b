"""spark-submit jobs/daily.py --config FILE: ingest, reconcile and measure: what a scheduler calls."""

import sys

from contactlake.cli import run_job_command

if __name__ == "__main__":
    sys.exit(run_job_command("daily"))
