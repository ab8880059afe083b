"""Work that is not a call: chats of every kind, several at a time, e-mail, previews and tasks."""

from contactlake.synthesize.amazon import mirror, queue_up
from contactlake.synthesize.centre import TRANSCRIPT_BUCKET
from contactlake.synthesize.chat_text import chat_metrics_json, messages_of, transcript_text
from contactlake.synthesize.desk import ACTIVE, ALERTING, PARKED, RESERVED, RESERVING, WORKING, WRAP, WRAPPING
from contactlake.synthesize.floor import Floor, Handoff
from contactlake.synthesize.records import Interaction
from contactlake.synthesize.shift import Shift
from contactlake.synthesize.vocabulary import (
    AMAZON_CHAT_QUEUE,
    AMAZON_TASK_QUEUE,
    CHAT_TYPES,
    CUSTOMER_NAMES,
    SKILL_QUEUES,
)
from contactlake.synthesize.voice import converse, inbound_call

_AMAZON_CHAT = "AMAZON"
_CHAT_MIX = (
    ("WEBCHAT",) * 19
    + (_AMAZON_CHAT,) * 11
    + ("SMS",) * 6
    + ("SMS_PINPOINT",) * 3
    + ("SMS_WEBHOOK", "SMS_WEBHOOK")
    + ("SOCIAL_WHATSAPP",) * 3
    + ("SOCIAL_FBMESSENGER",) * 2
    + ("SOCIAL_TWITTERDM", "SOCIAL_LINE", "SOCIAL_OTHER", "INSTANT_MESSAGE")
)
_SHORT_CODE = "55501"


def new_chat(floor: Floor, shift: Shift | None, kind: str) -> Interaction:
    """A chat of a kind of the mix, of the shift's agent or of nobody."""
    dice = floor.dice
    agent = shift.agent if shift else None
    name = dice.pick(CUSTOMER_NAMES)
    if kind == _AMAZON_CHAT:
        return floor.new_task("WEBCHAT", "INBOUND_FORCED", "AMAZON", agent, AMAZON_CHAT_QUEUE, name)
    near = _SHORT_CODE if kind.startswith("SMS") else ""
    far = floor.phone() if near else name
    return floor.new_task(kind, "INBOUND_QUEUE", "SYMBEE", agent, SKILL_QUEUES[kind], far, near)


def pick_chat(floor: Floor) -> str:
    return floor.dice.pick(_CHAT_MIX)


def chats(shift: Shift, alert: int) -> int:
    """One to three chats at once. One is in focus, the others' parked clocks run; each ends with its own wrap."""
    floor, desk, dice = shift.floor, shift.desk, shift.floor.dice
    chance = dice.random()
    arrivals = [] if chance < 0.45 else [alert + dice.between(15_000, 150_000)]
    if chance > 0.82:
        arrivals.insert(0, arrivals[-1] + dice.between(10_000, 120_000))
    focus = new_chat(floor, shift, pick_chat(floor))
    if focus.method == "INBOUND_QUEUE":
        desk.move(alert - 800, RESERVING)
    desk.move(alert, RESERVED, tasks=1, focus=focus, focus_state=ALERTING)
    now = alert + dice.between(900, 4_200)
    _accept(shift, focus, alert, now)
    desk.move(now, WORKING, tasks=1, focus=focus, focus_state=ACTIVE)
    live, remaining = [focus], {focus.task_id: floor.talk_ms(470.0)}
    while live:
        turn = max(remaining[focus.task_id], 1_000)
        if len(live) > 1:
            turn = min(turn, dice.between(20_000, 90_000))
        if arrivals and arrivals[-1] < now + turn:
            offered = max(arrivals.pop(), now)
            accepted = offered + dice.between(900, 3_000)
            _work(focus, remaining, accepted - now)
            now = accepted
            focus = new_chat(floor, shift, pick_chat(floor))
            _accept(shift, focus, offered, now)
            live.append(focus)
            remaining[focus.task_id] = floor.talk_ms(410.0)
            desk.move(now, WORKING, tasks=len(live), focus=focus, focus_state=ACTIVE)
            continue
        _work(focus, remaining, turn)
        now += turn
        if remaining[focus.task_id] <= 0:
            now = _complete(shift, focus, now, len(live))
            live.remove(focus)
        else:
            live.append(live.pop(live.index(focus)))
        if live:
            focus = live[0]
            desk.move(now, WORKING, tasks=len(live), focus=focus, focus_state=ACTIVE)
    return now


def _work(task: Interaction, remaining: dict[str, int], lasted: int) -> None:
    task.active_ms += lasted
    remaining[task.task_id] -= lasted


def _accept(shift: Shift, task: Interaction, offered: int, accepted: int) -> None:
    floor, dice = shift.floor, shift.floor.dice
    task.initiation = task.assigned = offered
    task.connected = accepted
    if task.method == "INBOUND_QUEUE":
        waited = floor.queue_seconds(offered) * 1000 + dice.between(100, 1000)
        task.queued, task.queued_ms = offered - waited, waited
        task.initiation = task.queued - dice.between(0, 3_000)


def _complete(shift: Shift, task: Interaction, now: int, tasks: int) -> int:
    """End a chat that is in focus: its wrap, its records, perhaps its transfer; returns when it is over."""
    floor, dice = shift.floor, shift.floor.dice
    task.wrap, task.wrap_ms = now, floor.wrap_ms()
    task.completed = now + task.wrap_ms
    task.parked_ms = task.wrap - task.connected - task.active_ms
    if task.wrap_ms:
        shift.desk.move(now, WRAP, tasks=tasks, focus=task, focus_state=WRAPPING)
    if task.provider == "SYMBEE" and shift.has_successors and dice.random() < 0.035:
        task.transferred_to = task.queue
        connect = task.wrap + floor.queue_seconds(task.wrap) * 1000 + 2_500
        floor.handoffs.append(Handoff("chat", connect, task.wrap, 0, dice.uuid(), task, "", None, task.far, task.near))
    publish(floor, task)
    return task.completed


def publish(floor: Floor, task: Interaction) -> None:
    """Publish a completed task: its transcript, its contact where Amazon delivered it, its work codes and itself."""
    agent = task.agent
    if agent is None:
        floor.recorder.interaction(task)
        return
    dice, stamps = floor.dice, floor.stamps
    by_amazon = task.provider == "AMAZON"
    is_chat = task.task_type in CHAT_TYPES
    said = messages_of(task, dice) if is_chat and (by_amazon or floor.recorder.transcripts_wanted) else []
    if is_chat and floor.recorder.transcripts_wanted:
        key = f"ChatTranscripts/{stamps[task.completed // 1000][:10].replace('-', '/')}/{task.contact_id}"
        task.media_location = f"{TRANSCRIPT_BUCKET}/{key}"
        floor.recorder.transcript(key, transcript_text(task, said, agent.first_name, dice.uuid(), stamps))
    if by_amazon:
        contact = floor.contact(task.contact_id, "CHAT" if is_chat else "TASK", "API", "", "")
        contact.queue = floor.centre.queues[task.queue]
        mirror(floor, contact, task)
        queue_up(floor, contact, floor.queue_seconds(task.assigned))
        if is_chat:
            contact.chat_metrics = chat_metrics_json(said, contact.connected, contact.disconnect, dice, stamps)
        else:
            contact.disconnect_reason = "AGENT_COMPLETED"
            if dice.random() < 0.3:
                contact.scheduled = contact.initiation
                contact.initiation = contact.on_system = contact.initiation - dice.between(600, 40_000)
        floor.recorder.contact(contact)
    floor.finish(task, agent)


def take_over_chat(shift: Shift, handoff: Handoff) -> int:
    """Go on with a chat that a colleague passed on."""
    floor, origin = shift.floor, handoff.origin
    task = transferred_chat(floor, handoff)
    task.agent = shift.agent
    completed = converse(
        shift, task, max(handoff.connect_at - 1_500, shift.free_at + 1_000), floor.talk_ms(320.0), floor.wrap_ms()
    )
    task.initiation = task.queued = origin.wrap
    task.queued_ms = task.assigned - task.queued
    publish(floor, task)
    return completed


def transferred_chat(floor: Floor, handoff: Handoff) -> Interaction:
    """The second part of a chat, in the same queue."""
    origin = handoff.origin
    task = floor.new_task(origin.task_type, "INBOUND_QUEUE", "SYMBEE", None, origin.queue, origin.far, origin.near)
    task.contact_id = handoff.contact_id
    task.origin_task_id, task.origin_contact_id = origin.task_id, origin.contact_id
    return task


def email(shift: Shift, alert: int) -> int:
    """An e-mail, which waits parked while a call comes in between; few are written unasked."""
    floor, desk, dice = shift.floor, shift.desk, shift.floor.dice
    asked = dice.random() < 0.92
    method = "INBOUND_QUEUE" if asked else "OUTBOUND_REQUESTED"
    address = f"customer{dice.between(1, 5000)}@example.com"
    task = floor.new_task(
        "ROUTED_EMAIL", method, "SYMBEE", shift.agent, SKILL_QUEUES["ROUTED_EMAIL"], address, "care@acme.example"
    )
    if not asked or dice.random() > 0.14 or not shift.agent.takes_calls:
        completed = converse(shift, task, alert, floor.talk_ms(410.0), floor.wrap_ms())
        publish(floor, task)
        return completed
    desk.move(alert - 800, RESERVING)
    desk.move(alert, RESERVED, tasks=1, focus=task, focus_state=ALERTING)
    _accept(shift, task, alert, alert + dice.between(900, 4_200))
    desk.move(task.connected, WORKING, tasks=1, focus=task, focus_state=ACTIVE)
    parked = task.connected + floor.talk_ms(150.0)
    desk.move(parked, WORKING, tasks=1, focus=task, focus_state=PARKED)
    resumed = inbound_call(shift, parked + 400, others=1)
    desk.move(resumed, WORKING, tasks=1, focus=task, focus_state=ACTIVE)
    rest = floor.talk_ms(150.0)
    task.active_ms = parked - task.connected + rest
    return _complete_single(shift, task, resumed + rest)


def _complete_single(shift: Shift, task: Interaction, now: int) -> int:
    task.wrap, task.wrap_ms = now, shift.floor.wrap_ms()
    task.completed = now + task.wrap_ms
    task.parked_ms = task.wrap - task.connected - task.active_ms
    if task.wrap_ms:
        shift.desk.move(now, WRAP, tasks=1, focus=task, focus_state=WRAPPING)
    publish(shift.floor, task)
    return task.completed


def amazon_task(shift: Shift, alert: int) -> int:
    """A generic task, delivered by Amazon Connect."""
    floor = shift.floor
    task = floor.new_task("GENERIC_TASK", "INBOUND_FORCED", "AMAZON", shift.agent, AMAZON_TASK_QUEUE, "Follow-up", "")
    completed = converse(shift, task, alert, floor.talk_ms(290.0), floor.wrap_ms())
    publish(floor, task)
    return completed


def preview(shift: Shift, alert: int) -> int:
    """A preview call or, rarely, an internal one: delivered by Symbee, with no contact."""
    floor = shift.floor
    kind, method = ("PREVIEW_DIAL", "OUTBOUND_REQUESTED") if floor.dice.random() < 0.8 else ("UC_CALL", "INBOUND_QUEUE")
    task = floor.new_task(kind, method, "SYMBEE", shift.agent, SKILL_QUEUES[kind], floor.phone(), shift.dialled)
    completed = converse(shift, task, alert, floor.talk_ms(200.0), floor.wrap_ms())
    publish(floor, task)
    return completed
