"""Calls: an interaction of Symbee's and a contact of Amazon Connect's that tell of the same minutes."""

from contactlake.synthesize import legs
from contactlake.synthesize.amazon import hold, mirror, queue_up
from contactlake.synthesize.desk import (
    ACTIVE,
    ALERTING,
    PARKED,
    RESERVED,
    RESERVING,
    WORKING,
    WRAP,
    WRAPPING,
)
from contactlake.synthesize.floor import Handoff
from contactlake.synthesize.records import Interaction
from contactlake.synthesize.shift import Shift
from contactlake.synthesize.vocabulary import OUTBOUND_QUEUE


def converse(shift: Shift, task: Interaction, alert: int, talk: int, wrap: int, others: int = 0) -> int:
    """One task from the alert to its completion at the agent's desk, uninterrupted; `others` are parked beside it."""
    floor, desk, dice = shift.floor, shift.desk, shift.floor.dice
    tasks = others + 1
    connected = alert + dice.between(900, 4_200)
    ended = connected + talk
    completed = ended + wrap
    if not others:
        if task.method == "INBOUND_QUEUE":
            desk.move(alert - 800, RESERVING)
        desk.move(alert, RESERVED, tasks=1, focus=task, focus_state=ALERTING)
    desk.move(connected, WORKING, tasks=tasks, focus=task, focus_state=ACTIVE)
    if not others:
        task.parked_ms = _park(shift, task, connected, talk)
        if not task.parked_ms:
            shift.promise_break(connected, ended, task)
    if wrap:
        desk.move(ended, WRAP, tasks=tasks, focus=task, focus_state=WRAPPING)
    task.initiation = task.assigned = alert
    task.connected, task.wrap, task.completed = connected, ended, completed
    task.active_ms, task.wrap_ms = talk - task.parked_ms, wrap
    if task.method == "INBOUND_QUEUE":
        waited = floor.queue_seconds(alert) * 1000 + dice.between(100, 1000)
        task.queued, task.queued_ms = alert - waited, waited
        task.initiation = task.queued - dice.between(0, 3_000)
    return completed


def _park(shift: Shift, task: Interaction, connected: int, talk: int) -> int:
    """Now and then a single task is parked for a while with nothing else in focus; returns for how long."""
    dice = shift.floor.dice
    if talk < 90_000 or dice.random() > (0.02 if task.task_type == "VOICE" else 0.15):
        return 0
    start = connected + talk // 4
    parked = dice.between(10_000, talk // 2)
    shift.desk.move(start, WORKING, tasks=1, focus=task, focus_state=PARKED)
    shift.desk.move(start + parked, WORKING, tasks=1, focus=task, focus_state=ACTIVE)
    return parked


def inbound_call(shift: Shift, alert: int, others: int = 0) -> int:
    """A queued call: sometimes a callback or an overflow from another queue, sometimes passed on."""
    floor, agent, dice = shift.floor, shift.agent, shift.floor.dice
    queue = dice.pick(agent.voice_queues)
    task = floor.new_task("VOICE", "INBOUND_FORCED", "AMAZON", agent, queue.name, floor.phone(), shift.dialled)
    contact = floor.contact(task.contact_id, "VOICE", "INBOUND", task.far, shift.dialled)
    contact.queue = queue
    talk = floor.talk_ms(350.0)
    wrap = floor.wrap_ms()
    leg = None if others else legs.choose(floor, shift.has_successors)
    if leg is not None:
        talk = leg.stretch(floor, talk)
    completed = converse(shift, task, alert, talk, wrap, others)
    mirror(floor, contact, task)
    queue_up(floor, contact, floor.queue_seconds(alert))
    chance = dice.random()
    if leg is not None:
        leg.play(floor, task, contact)
    elif chance < 0.17:
        hold(contact, int((contact.acw_start - contact.connected) * (0.05 + 0.4 * dice.random())), 1 + int(chance * 18))
    elif chance < 0.20:
        legs.called_back(floor, contact)
    elif chance < 0.22:
        legs.overflowed(floor, contact)
    elif chance < 0.30:
        contact.disconnect -= min(dice.between(0, 25), talk // 2_000)
    elif chance < 0.45:
        contact.disconnect_reason = "AGENT_DISCONNECT"
    floor.recorder.contact(contact, dice.between(50, 80))
    floor.finish(task, agent)
    return completed


def outbound_call(shift: Shift, alert: int) -> int:
    """A call that the agent makes; a third is not answered by anybody."""
    floor, agent, dice = shift.floor, shift.agent, shift.floor.dice
    task = floor.new_task("VOICE", "OUTBOUND_FORCED", "AMAZON", agent, OUTBOUND_QUEUE, floor.phone(), shift.dialled)
    contact = floor.contact(task.contact_id, "VOICE", "OUTBOUND", task.far, shift.dialled)
    contact.queue = floor.centre.queues[OUTBOUND_QUEUE]
    answered = dice.random() < 0.66
    completed = converse(
        shift, task, alert, floor.talk_ms(240.0) if answered else dice.between(3_000, 28_000), floor.wrap_ms()
    )
    mirror(floor, contact, task)
    contact.initiation = min(alert // 1000, contact.connected)
    contact.on_system = contact.connected
    if not answered:
        contact.disconnect_reason = "AGENT_DISCONNECT"
    floor.recorder.contact(contact)
    floor.finish(task, agent)
    return completed


def dialled_call(shift: Shift, alert: int) -> int:
    """A call that a dialler connected before it was given to the agent: its `ConnectedTimestamp` is the dialler's."""
    floor, agent, dice = shift.floor, shift.agent, shift.floor.dice
    task = floor.new_task(
        "VOICE", "OUTBOUND_AUTO_AGENT", "SMARTDIAL", agent, "renewals-list", floor.phone(), shift.dialled
    )
    contact = floor.contact(task.contact_id, "VOICE", "OUTBOUND", task.far, shift.dialled)
    completed = converse(shift, task, alert, floor.talk_ms(200.0), floor.wrap_ms())
    mirror(floor, contact, task)
    task.initiation = alert - dice.between(8_000, 30_000)
    task.connected = task.initiation + dice.between(2_000, 7_000)
    contact.initiation = task.initiation // 1000
    contact.on_system = task.connected // 1000
    floor.recorder.contact(contact)
    floor.finish(task, agent)
    return completed


def take_over(shift: Shift, handoff: Handoff) -> int:
    """Answer what a colleague passes on: the second leg of a transfer, a consult or a conference."""
    floor, agent, dice = shift.floor, shift.agent, shift.floor.dice
    queue = handoff.queue
    task = floor.new_task(
        "VOICE", "INBOUND_FORCED", "AMAZON", agent, queue.name if queue else "", handoff.customer, handoff.dialled
    )
    task.contact_id = handoff.contact_id
    task.origin_task_id, task.origin_contact_id = handoff.origin.task_id, handoff.origin.contact_id
    contact = legs.child_contact(floor, handoff)
    alert = max(handoff.connect_at - 1_500, shift.free_at + 1)
    connected = handoff.connect_at
    bounded = handoff.kind in ("consult", "conference")
    least = max(handoff.until - connected, 1_000)
    talk = least if bounded else floor.talk_ms(280.0) + (least if handoff.kind == "warm" else 0)
    wrap = min(floor.wrap_ms(), 8_000) if bounded else floor.wrap_ms()
    shift.desk.move(alert, RESERVED, tasks=1, focus=task, focus_state=ALERTING)
    shift.desk.move(connected, WORKING, tasks=1, focus=task, focus_state=ACTIVE)
    if wrap:
        shift.desk.move(connected + talk, WRAP, tasks=1, focus=task, focus_state=WRAPPING)
    task.initiation = task.assigned = alert
    task.connected, task.wrap, task.completed = connected, connected + talk, connected + talk + wrap
    task.active_ms, task.wrap_ms = talk, wrap
    mirror(floor, contact, task)
    if queue:
        contact.dequeued = contact.connected
        contact.queue_seconds = max(contact.dequeued - contact.enqueued, 0)
    if handoff.kind == "consult":
        hold(contact, max(contact.acw_start - contact.connected - dice.between(0, 2), 0))
    if bounded:
        contact.disconnect_reason = "THIRD_PARTY_DISCONNECT"
    floor.recorder.contact(contact)
    floor.finish(task, agent)
    return task.completed
