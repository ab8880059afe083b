"""What Spark's Python workers need not do."""

import zipimport

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
