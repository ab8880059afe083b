"""An agent's working day, played from the login to the last task."""

from collections.abc import Callable

from contactlake.synthesize.centre import BLENDED, DIGITAL, VOICE_ONLY
from contactlake.synthesize.desk import IDLE, UNAVAILABLE
from contactlake.synthesize.digital import amazon_task, chats, email, preview, take_over_chat
from contactlake.synthesize.floor import Handoff
from contactlake.synthesize.shift import OUTAGE, Shift
from contactlake.synthesize.voice import dialled_call, inbound_call, outbound_call, take_over

Work = Callable[[Shift, int], int]
"""Plays one piece of work from the alert at an instant; returns when the agent is free again."""

_MIX: dict[str, tuple[tuple[float, Work], ...]] = {
    BLENDED: (
        (0.55, inbound_call),
        (0.63, outbound_call),
        (0.645, dialled_call),
        (0.80, chats),
        (0.91, email),
        (0.96, amazon_task),
        (1.0, preview),
    ),
    VOICE_ONLY: ((0.84, inbound_call), (0.95, outbound_call), (0.97, dialled_call), (1.0, preview)),
    DIGITAL: ((0.68, chats), (0.90, email), (1.0, amazon_task)),
}
_REACH_MS = 120_000
"""How much longer than planned an agent may stay idle for a handoff that is about to come."""


def play(shift: Shift) -> None:
    """Work until the shift is over."""
    shift.desk.login(shift.begin)
    while shift.free_at < shift.end:
        if shift.plans and shift.plans[-1][0] <= shift.free_at:
            _pause(shift)
            continue
        alert = shift.free_at + _idle_ms(shift)
        handoff = _claim(shift, alert)
        if handoff is not None:
            done = take_over_chat(shift, handoff) if handoff.kind == "chat" else take_over(shift, handoff)
        elif alert < shift.end:
            done = _next_work(shift)(shift, alert)
        else:
            shift.free_at = shift.end
            break
        shift.free_at = done
        if not shift.promised:
            shift.desk.move(done, IDLE)
    chance = shift.floor.dice.random()
    shift.desk.leave(shift.free_at, "LOGOUT" if chance < 0.95 else "TIMEOUT" if chance < 0.98 else "")


def _idle_ms(shift: Shift) -> int:
    floor = shift.floor
    return 2_000 + int(floor.dice.waiting(17_000_000.0 / floor.load(shift.free_at)) * floor.pace)


def _next_work(shift: Shift) -> Work:
    chance = shift.floor.dice.random()
    return next(work for limit, work in _MIX[shift.agent.skill] if chance < limit)


def _pause(shift: Shift) -> None:
    """Take the break that is due, or lose the connection and come back in a new session."""
    desk, start = shift.desk, shift.free_at
    _, reason, lasts = shift.plans.pop()
    shift.promised = False
    shift.free_at = min(start + lasts, max(shift.end, start + 1))
    if reason == OUTAGE:
        desk.leave(start, "TIMEOUT")
        desk.login(shift.free_at)
    else:
        desk.move(start, UNAVAILABLE, reason=reason)
        desk.move(shift.free_at, IDLE)


def _claim(shift: Shift, planned: int) -> Handoff | None:
    """Take the first handoff of the team that comes while this agent would be idle."""
    handoffs = shift.floor.handoffs
    voice = shift.agent.takes_calls
    digital = shift.agent.skill != VOICE_ONLY
    for index, handoff in enumerate(handoffs):
        fits = shift.free_at + 3_000 <= handoff.connect_at <= planned + _REACH_MS
        if fits and (digital if handoff.kind == "chat" else voice):
            return handoffs.pop(index)
    return None
