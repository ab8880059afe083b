"""What reaches no Symbee agent: menus, abandoned queues, automatic calls, and people known to Amazon Connect alone."""

from contactlake.synthesize.amazon import hold, queue_up
from contactlake.synthesize.centre import Agent
from contactlake.synthesize.contacts import Contact
from contactlake.synthesize.digital import new_chat, pick_chat, publish, transferred_chat
from contactlake.synthesize.floor import LOAD, Floor
from contactlake.synthesize.legs import spill
from contactlake.synthesize.vocabulary import VOICE_QUEUES

_HOURS = tuple(hour for hour, load in enumerate(LOAD) for _ in range(load // 5) if 6 <= hour <= 21)
_TOLL_FREE = "+18005550199"


def play_unattended(floor: Floor, agents: int) -> None:
    """The rest of a team's day, in proportion to how many of its agents were there."""
    _leftovers(floor)
    for share, happen in (
        (1.3, _abandoned_call),
        (1.8, _menu_call),
        (0.45, _abandoned_chat),
        (0.12, _automatic_call),
        (0.06, _forwarded_call),
    ):
        for _ in range(_count(floor, share * agents / floor.pace)):
            happen(floor)
    _back_office(floor, _count(floor, 0.9 * agents / floor.pace))
    _supervisor(floor, _count(floor, 0.06 * agents))


def _count(floor: Floor, mean: float) -> int:
    return int(mean + floor.dice.random())


def _some_second(floor: Floor) -> int:
    """An instant of the local day, more often in the busy hours."""
    return floor.midnight + floor.dice.pick(_HOURS) * 3600 + floor.dice.between(0, 3600)


def _leftovers(floor: Floor) -> None:
    """What was passed on and nobody of the team could take."""
    outsider = floor.centre.outsider(floor.pod, "backoffice")
    for handoff in floor.handoffs:
        if handoff.kind != "chat":
            spill(floor, handoff, outsider)
            continue
        task = transferred_chat(floor, handoff)
        task.initiation = task.queued = handoff.offered_at
        task.completed = handoff.connect_at
        task.queued_ms = task.completed - task.queued
        publish(floor, task)
    floor.handoffs.clear()


def _abandoned_call(floor: Floor) -> None:
    dice = floor.dice
    contact = floor.contact(dice.uuid(), "VOICE", "INBOUND", floor.phone(), _TOLL_FREE)
    contact.queue = floor.centre.queues[dice.pick(VOICE_QUEUES)]
    contact.initiation = contact.on_system = _some_second(floor)
    contact.enqueued = contact.initiation + dice.between(6, 60)
    contact.queue_seconds = 1 + dice.waiting(75.0)
    contact.dequeued = contact.disconnect = contact.enqueued + contact.queue_seconds
    floor.recorder.contact(contact)


def _menu_call(floor: Floor) -> None:
    """Served or lost in the menu: never in a queue."""
    dice = floor.dice
    contact = floor.contact(dice.uuid(), "VOICE", "INBOUND", floor.phone(), _TOLL_FREE)
    contact.initiation = contact.on_system = _some_second(floor)
    contact.disconnect = contact.initiation + dice.between(3, 160)
    contact.disconnect_reason = dice.pick(("CUSTOMER_DISCONNECT", "CONTACT_FLOW_DISCONNECT"))
    floor.recorder.contact(contact)


def _abandoned_chat(floor: Floor) -> None:
    """A chat that its customer left in the queue; some were sent on to another queue by rule."""
    dice = floor.dice
    kind = pick_chat(floor)
    task = new_chat(floor, None, kind)
    if task.provider == "AMAZON":
        contact = floor.contact(task.contact_id, "CHAT", "API", "", "")
        contact.queue = floor.centre.queues[task.queue]
        contact.initiation = contact.on_system = contact.enqueued = _some_second(floor)
        contact.queue_seconds = dice.between(5, 400)
        contact.dequeued = contact.disconnect = contact.enqueued + contact.queue_seconds
        floor.recorder.contact(contact)
        return
    task.initiation = task.queued = _some_second(floor) * 1000 + dice.between(0, 1000)
    task.queued_ms = dice.between(4_000, 500_000)
    task.completed = task.queued + task.queued_ms
    if dice.random() < 0.2:
        task.transferred_to = "overflow-webchat"
    floor.recorder.interaction(task)


def _automatic_call(floor: Floor) -> None:
    """A dialler's call without an agent: an interaction of nobody and its contact."""
    dice = floor.dice
    task = floor.new_task("VOICE", "OUTBOUND_AUTO", "SMARTDIAL", None, "reminders-list", floor.phone(), _TOLL_FREE)
    start = _some_second(floor)
    contact = floor.contact(task.contact_id, "VOICE", "OUTBOUND", task.far, _TOLL_FREE)
    contact.initiation = start
    contact.on_system = start + dice.between(4, 15)
    contact.disconnect = contact.on_system + dice.between(8, 50)
    task.initiation, task.connected, task.completed = start * 1000, contact.on_system * 1000, contact.disconnect * 1000
    floor.recorder.contact(contact)
    floor.recorder.interaction(task)


def _forwarded_call(floor: Floor) -> None:
    """A call that was bridged or forwarded outside at once: no contact is ever published for it."""
    dice = floor.dice
    method = dice.pick(("BRIDGE", "FORWARD"))
    task = floor.new_task("VOICE", method, "SYMBEE", None, "", floor.phone(), _TOLL_FREE)
    task.initiation = _some_second(floor) * 1000
    task.completed = task.initiation + dice.between(20_000, 400_000)
    task.transferred_to = floor.phone()
    floor.recorder.interaction(task)


def _outsider_call(floor: Floor, agent: Agent, connected: int) -> Contact:
    dice = floor.dice
    contact = floor.contact(dice.uuid(), "VOICE", "INBOUND", floor.phone(), _TOLL_FREE)
    contact.agent = agent
    contact.connected = connected
    contact.acw_start = contact.disconnect = connected + max(int(dice.skewed(200.0, 0.7)), 5)
    contact.acw_end = contact.acw_start + dice.between(0, 40)
    return contact


def _back_office(floor: Floor, calls: int) -> None:
    """Calls of someone who works in Amazon Connect but not in Symbee, one after the other."""
    dice = floor.dice
    agent = floor.centre.outsider(floor.pod, "backoffice")
    free_at = 0
    for second in sorted(_some_second(floor) for _ in range(calls)):
        contact = _outsider_call(floor, agent, max(second, free_at))
        contact.queue = agent.voice_queues[0]
        queue_up(floor, contact, floor.queue_seconds(second * 1000))
        if dice.random() < 0.15:
            hold(contact, (contact.acw_start - contact.connected) // 4)
        free_at = contact.acw_end + 5
        floor.recorder.contact(contact)


def _supervisor(floor: Floor, listened: int) -> None:
    """A supervisor, who uses Symbee without taking work, and listens in on calls in Amazon Connect."""
    agent = floor.centre.outsider(floor.pod, "supervisor")
    begin = (floor.midnight + 8 * 3600 + floor.dice.between(0, 1800)) * 1000
    floor.recorder.usage(agent, "BEGIN", begin)
    for beat in range(1, 34):
        floor.recorder.usage(agent, "ALIVE", begin + beat * 900_000)
    floor.recorder.usage(agent, "END", begin + 34 * 900_000 - 300_000)
    for _ in range(listened):
        contact = _outsider_call(floor, agent, _some_second(floor))
        contact.method = "MONITOR"
        contact.initiation = contact.connected
        contact.acw_end = contact.acw_start
        floor.recorder.contact(contact)
