"""Being told to end, by Ctrl-C or by a scheduler: what a run holds is let go, and the process ends at once.

Nothing is unwound: a step that is under way waits for Spark, which may take minutes, and what it has written is undone
by the next run anyway. Only what others would wait for is put in order first.
"""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_SECONDS = 15
_actions: list[Callable[[], None]] = []


@contextmanager
def when_interrupted(action: Callable[[], None]) -> Iterator[None]:
    """Has `action` done, the last one first, if the process is told to end meanwhile. It may not depend on the main
    thread, which stands still."""
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


@contextmanager
def heeded() -> Iterator[None]:
    """Ends the process when it is told to, with 128 and the signal's number as its exit code; to be used in the main
    thread."""
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def still_heeded() -> Iterator[None]:
    """Around what puts handlers of its own in place, as Spark does."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is _end:
                signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> Any:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)  # told again, the process ends without ado
    logging.disable()  # whatever fails from now on, fails of this
    sys.stderr = io.StringIO()  # PySpark's threads tell it without a logger
    # In a thread, as the main one may hold a lock that an action needs; and no longer than anybody wants to wait.
    ending = threading.Thread(target=_act, name="interruption", daemon=True)
    ending.start()
    ending.join(_PATIENCE_SECONDS)
    name = signal.Signals(number).name
    os.write(2, f"ended by {name}; the next run undoes what this one has not completed\n".encode())
    os._exit(128 + number)


def _act() -> None:
    for action in reversed(_actions):
        try:
            action()
        except Exception as fault:  # the others have to be done all the same
            os.write(2, f"{fault}\n".encode())
