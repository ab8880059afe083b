"""spark-submit jobs/doctor.py --config FILE: examine the platform's Spark, the archive and the lake."""

import sys

from contactlake.cli import doctor_command

if __name__ == "__main__":
    sys.exit(doctor_command())
