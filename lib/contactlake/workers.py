"""What Spark's Python workers need not do, and need not keep."""

import ctypes
import sys
import zipimport

import pyarrow as pa
from pyspark import TaskContext


def spare_jars() -> None:
    """Keeps this worker from reading the contents of every jar on its path anew before each task.

    Spark tells Python before a task that there may be new modules, upon which some versions of Python do so. A worker's
    jars do not change while it lives. Elsewhere than in a worker nothing is changed.
    """
    if TaskContext.get() is not None:
        zipimport.zipimporter.invalidate_caches = _nothing  # type: ignore[method-assign,assignment]


def _nothing(_: zipimport.zipimporter) -> None:
    return


def give_back() -> None:
    """Gives the system what this worker's last task took: it may idle from now on, for as long as the run takes."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library, not of others
        if trim is not None:
            trim(0)
