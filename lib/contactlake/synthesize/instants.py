"""Instants as integers since the epoch, and their text: seconds for stamps, milliseconds inside the simulation."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEVER = -1
"""The instant, in milliseconds or seconds, of what has not happened: its text is empty."""

_TIMES = tuple(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z" for s in range(86_400))
_REMEMBERED = 400_000


class Stamps(dict[int, str]):
    """Epoch second to `YYYY-MM-DDTHH:MM:SSZ`, remembered because a day's records repeat them."""

    def __init__(self) -> None:
        super().__init__()
        self._dates: dict[int, str] = {}
        self[NEVER] = ""

    def __missing__(self, second: int) -> str:
        if len(self) > _REMEMBERED:
            self.clear()
            self[NEVER] = ""
        day, rest = divmod(second, 86_400)
        if day not in self._dates:
            self._dates[day] = f"{date.fromordinal(719_163 + day).isoformat()}T"
        stamp = self._dates[day] + _TIMES[rest]
        self[second] = stamp
        return stamp


def local_second(day: date, minute: int, zone: ZoneInfo) -> int:
    """The epoch second at which the clocks of `zone` show the given minute of the day (from 1,440 on: of the next)."""
    later, minute_of_day = divmod(minute, 1_440)
    at = datetime.combine(day + timedelta(days=later), time(minute_of_day // 60, minute_of_day % 60), zone)
    return int(at.timestamp())


def utc(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
