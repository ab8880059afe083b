"""An invented contact centre and the archive it leaves: for demonstrations, tests and measuring.

`synthesize` writes the archive and `config_toml` the configuration to ingest it; `add_arguments` and `run` are the
command line. Everything is drawn from a seed. The package needs nothing beyond the standard library.
"""

from contactlake.synthesize.command import add_arguments, run
from contactlake.synthesize.configuration import config_toml
from contactlake.synthesize.recorder import TYPES
from contactlake.synthesize.summary import Summary
from contactlake.synthesize.synthesis import synthesize

__all__ = ["TYPES", "Summary", "add_arguments", "config_toml", "run", "synthesize"]
