"""What the tests count and print at their end, as `counted["bad inputs"] += 5`; under xdist the workers' sums."""

from collections import Counter

counted: Counter[str] = Counter()
