"""Conversations of several legs: transfers, consults, conferences, callbacks and overflow between queues."""

from dataclasses import dataclass

from contactlake.synthesize.amazon import hold
from contactlake.synthesize.centre import Agent, Queue
from contactlake.synthesize.contacts import Contact
from contactlake.synthesize.floor import Floor, Handoff
from contactlake.synthesize.records import Interaction
from contactlake.synthesize.vocabulary import VOICE_QUEUES

_INTERNAL = ((0.026, "blind"), (0.040, "warm"), (0.050, "consult"), (0.060, "conference"))
_EXTERNAL = ((0.010, "external transfer"), (0.016, "external consult"), (0.022, "external conference"))


@dataclass(slots=True)
class Leg:
    """What an agent does with a call beside talking; the offsets are milliseconds from the agent's connection."""

    kind: str
    starts: int = 0
    joins: int = 0
    leaves: int = 0

    def stretch(self, floor: Floor, talk: int) -> int:
        """Fit the leg into a conversation of `talk` milliseconds; returns how long that becomes."""
        dice = floor.dice
        if self.kind in ("blind", "external transfer"):
            return talk
        self.starts = talk // 2
        self.joins = self.starts + dice.between(6_000, 25_000)
        self.leaves = self.joins + dice.between(40_000, 200_000)
        return self.leaves + (0 if self.kind == "warm" else dice.between(20_000, 150_000))

    def play(self, floor: Floor, task: Interaction, contact: Contact) -> None:
        """Complete the parent's contact and let the other leg begin."""
        contact.next_id = floor.dice.uuid()
        if self.kind.startswith("external"):
            self._play_outside(floor, task, contact)
        else:
            self._play_inside(floor, task, contact)

    def _play_inside(self, floor: Floor, task: Interaction, contact: Contact) -> None:
        dice = floor.dice
        queue = floor.centre.queues[dice.pick(VOICE_QUEUES)] if self.kind == "blind" else None
        if self.kind == "blind":
            offered, connect, until = task.wrap, task.wrap + floor.queue_seconds(task.wrap) * 1000 + 3_000, 0
        else:
            offered, connect = task.connected + self.starts, task.connected + self.joins
            until = task.connected + self.leaves
            waited = self.joins if self.kind == "conference" else self.leaves
            hold(contact, min((waited - self.starts) // 1000, contact.acw_start - contact.connected))
        if self.kind in ("blind", "warm"):
            contact.transfer_completed = contact.acw_start
            task.transferred_to = queue.name if queue else "quick-connect"
        floor.handoffs.append(
            Handoff(
                self.kind,
                connect,
                offered,
                until,
                contact.next_id,
                task,
                contact.initial_id or contact.contact_id,
                queue,
                contact.customer,
                contact.dialled,
            )
        )

    def _play_outside(self, floor: Floor, task: Interaction, contact: Contact) -> None:
        third = Contact(contact.next_id, "VOICE", "EXTERNAL_OUTBOUND", floor.phone(), contact.dialled)
        third.attributes = contact.attributes
        third.initial_id = contact.initial_id or contact.contact_id
        third.previous_id = contact.contact_id
        if self.kind == "external transfer":
            third.initiation = contact.acw_start - 1
            third.on_system = contact.acw_start
            third.disconnect = contact.disconnect = contact.acw_start + floor.dice.between(30, 900)
            contact.transfer_completed = contact.acw_start
            contact.transferred_to = task.transferred_to = third.customer
        else:
            third.initiation = contact.connected + self.starts // 1000
            third.on_system = contact.connected + self.joins // 1000
            third.disconnect = contact.connected + self.leaves // 1000
            waited = third.on_system if self.kind == "external conference" else third.disconnect
            hold(contact, waited - third.initiation)
        third.third_party_seconds = third.disconnect - third.on_system
        third.disconnect_reason = "THIRD_PARTY_DISCONNECT"
        floor.recorder.contact(third)


def choose(floor: Floor, has_successors: bool) -> Leg | None:
    """Whether a call gets another leg; to colleagues only where some are still to play their day."""
    chance = floor.dice.random()
    for limit, kind in _EXTERNAL:
        if chance < limit:
            return Leg(kind)
    if has_successors:
        for limit, kind in _INTERNAL:
            if chance - _EXTERNAL[-1][0] < limit:
                return Leg(kind)
    return None


def child_contact(floor: Floor, handoff: Handoff) -> Contact:
    """The contact of a leg that another agent gets."""
    contact = floor.contact(handoff.contact_id, "VOICE", "TRANSFER", handoff.customer, handoff.dialled)
    contact.initial_id = handoff.initial_id
    contact.previous_id = handoff.origin.contact_id
    contact.initiation = contact.on_system = handoff.offered_at // 1000
    contact.queue = handoff.queue
    if handoff.queue:
        contact.enqueued = contact.initiation + 1
    return contact


def spill(floor: Floor, handoff: Handoff, outsider: Agent) -> None:
    """Nobody of the team was free: the customer gives up in the queue, or someone outside Symbee answers."""
    dice = floor.dice
    contact = child_contact(floor, handoff)
    connected = handoff.connect_at // 1000
    if handoff.queue:
        contact.dequeued = connected
        contact.queue_seconds = max(connected - contact.enqueued, 0)
    if handoff.kind == "blind" and dice.random() < 0.35:
        contact.disconnect = connected
    else:
        bounded = handoff.kind in ("consult", "conference")
        least = max(handoff.until // 1000 - connected, 1)
        contact.agent = outsider
        contact.connected = connected
        contact.acw_start = connected + (least if bounded else least + dice.between(20, 400))
        contact.acw_end = contact.acw_start + dice.between(0, 9)
        contact.disconnect = contact.acw_start
        if handoff.kind == "consult":
            hold(contact, contact.acw_start - connected - 1)
    floor.recorder.contact(contact)


def called_back(floor: Floor, contact: Contact) -> None:
    """Let the call be the answer to a callback asked for in the queue, which is a contact of its own without an agent.

    A callback's `Queue.Duration` runs from its initiation, so that it is not dequeue less enqueue.
    """
    dice = floor.dice
    waited = dice.between(90, 1_800)
    contact.method = "CALLBACK"
    contact.dequeued = contact.connected - dice.between(15, 30)
    contact.enqueued = contact.dequeued - dice.between(10, 40)
    contact.on_system = contact.connected - dice.between(4, 14)
    contact.initiation = contact.dequeued - waited
    contact.queue_seconds = waited
    _precede(floor, contact, contact.queue)


def overflowed(floor: Floor, contact: Contact) -> None:
    """Let the call have waited in another queue first, which passed it on."""
    contact.method = "QUEUE_TRANSFER"
    contact.initiation = contact.on_system = contact.enqueued
    _precede(floor, contact, floor.centre.queues[floor.dice.pick(VOICE_QUEUES)])


def _precede(floor: Floor, contact: Contact, queue: Queue | None) -> None:
    """Publish the contact from which `contact` comes: it was queued, no agent answered, and it led on."""
    dice = floor.dice
    first = floor.contact(dice.uuid(), "VOICE", "INBOUND", contact.customer, contact.dialled)
    first.next_id = contact.contact_id
    first.queue = queue
    first.dequeued = first.disconnect = contact.initiation
    first.enqueued = first.dequeued - dice.between(8, 150)
    first.queue_seconds = first.dequeued - first.enqueued
    first.initiation = first.on_system = first.enqueued - dice.between(6, 60)
    first.disconnect_reason = "CONTACT_FLOW_DISCONNECT"
    contact.initial_id = contact.previous_id = first.contact_id
    floor.recorder.contact(first)
