"""contactlake: batch analytics over the S3 archives that a contact centre already has."""

__version__ = "0.1.0"
