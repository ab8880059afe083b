"""spark-submit jobs/measure.py --config FILE: compute KPIs, judge them and publish gold."""

import sys

from contactlake.cli import run_job_command

if __name__ == "__main__":
    sys.exit(run_job_command("measure"))
