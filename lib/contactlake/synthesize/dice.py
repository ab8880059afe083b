"""The one source of chance: a seeded generator, so that equal seeds give equal archives."""

import random
from collections.abc import Sequence
from math import exp
from typing import TypeVar

T = TypeVar("T")


class Dice(random.Random):
    """Draws from a text seed such as `7|2025-03-07|0`; made for plausibility, never for secrets."""

    def uuid(self) -> str:
        """A version-4 UUID."""
        digits = f"{self.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def between(self, low: int, high: int) -> int:
        """An integer of [low, high)."""
        return low + int(self.random() * (high - low))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.random() * len(options))]

    def skewed(self, median: float, spread: float) -> int:
        """A log-normal draw: half of the draws lie below `median`, `spread` is the sigma of the logarithm."""
        return int(median * exp(spread * self.gauss(0.0, 1.0)))

    def waiting(self, mean: float) -> int:
        """An exponential draw."""
        return int(self.expovariate(1.0 / mean))
