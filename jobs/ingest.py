"""spark-submit jobs/ingest.py --config FILE: read the archive into the silver event tables."""

import sys

from contactlake.cli import run_job_command

if __name__ == "__main__":
    sys.exit(run_job_command("ingest"))
