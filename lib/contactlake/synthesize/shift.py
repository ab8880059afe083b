"""One agent's shift: where the agent sits, and what is planned for the day."""

from dataclasses import dataclass, field

from contactlake.synthesize.centre import Agent
from contactlake.synthesize.desk import ACTIVE, PENDING_UNAVAILABLE, Desk
from contactlake.synthesize.floor import Floor
from contactlake.synthesize.records import Interaction

_MINUTE = 60_000

OUTAGE = "outage"
"""A plan that is no break: the connection is lost, and the agent logs in anew afterwards."""


@dataclass(slots=True)
class Shift:
    """The state of one agent's day; instants in milliseconds."""

    floor: Floor
    agent: Agent
    begin: int
    end: int
    has_successors: bool
    desk: Desk = field(init=False)
    dialled: str = field(init=False)
    plans: list[tuple[int, str, int]] = field(init=False)
    """(when, reason, for how long), the next one last."""
    free_at: int = 0
    promised: bool = False
    """Whether the agent has already asked for the break that is due."""

    def __post_init__(self) -> None:
        dice = self.floor.dice
        self.desk = Desk(self.floor, self.agent)
        self.dialled = f"+180055501{dice.between(90, 99)}"
        self.free_at = self.begin
        length = self.end - self.begin
        plans = [
            (self.begin + length // 4, "Break", dice.between(12, 18)),
            (self.begin + length // 2, "Lunch", dice.between(28, 40)),
            (self.begin + length * 3 // 4, "Break", dice.between(12, 18)),
        ]
        if dice.random() < 0.35:
            plans.append((self.begin + int(length * dice.random()), "Meeting", dice.between(20, 45)))
        if dice.random() < 0.10:
            plans.append((self.begin + int(length * dice.random()), "Training", dice.between(30, 60)))
        if dice.random() < 0.30:
            plans.append((self.begin + int(length * dice.random()), "Personal", dice.between(3, 9)))
        if dice.random() < 0.04:
            plans.append((self.begin + int(length * dice.random()), OUTAGE, dice.between(4, 20)))
        self.plans = sorted(
            (
                (at + dice.between(-10, 11) * _MINUTE, reason, minutes * _MINUTE + dice.between(0, _MINUTE))
                for at, reason, minutes in plans
            ),
            reverse=True,
        )

    def promise_break(self, start: int, end: int, task: Interaction) -> None:
        """Ask for the break that comes due during [start, end), as agents often do while they still work."""
        if not self.plans or self.promised:
            return
        due, reason, _ = self.plans[-1]
        if reason != OUTAGE and start + 1_000 < end and due < end and self.floor.dice.random() < 0.5:
            at = min(max(due, start + 1_000), end - 1)
            self.desk.move(at, PENDING_UNAVAILABLE, reason=reason, tasks=1, focus=task, focus_state=ACTIVE)
            self.promised = True
