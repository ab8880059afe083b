"""Amazon Connect's side of a task: the same minutes by another clock, in whole seconds."""

from contactlake.synthesize.contacts import Contact
from contactlake.synthesize.floor import Floor
from contactlake.synthesize.records import Interaction

_CLOCKS_APART_MS = 300
"""How far Amazon's clock is from Symbee's at most; in whole seconds, their times then agree to one second."""


def mirror(floor: Floor, contact: Contact, task: Interaction) -> None:
    """Give the contact the task's agent and times. Talk and hold together are always wrap start less connection."""
    skew = floor.dice.between(-_CLOCKS_APART_MS, _CLOCKS_APART_MS + 1)
    contact.agent = task.agent
    contact.connected = (task.connected + skew) // 1000
    contact.acw_start = (task.wrap + skew) // 1000
    contact.acw_end = (task.completed + skew) // 1000
    contact.disconnect = contact.acw_start


def queue_up(floor: Floor, contact: Contact, waited: int) -> None:
    """Let the customer have come in, gone through the menu and waited before the agent connected."""
    contact.dequeued = contact.connected
    contact.enqueued = contact.dequeued - waited
    contact.queue_seconds = waited
    contact.initiation = contact.on_system = contact.enqueued - floor.dice.between(6, 75)


def hold(contact: Contact, seconds: int, holds: int = 1) -> None:
    """Put the customer on hold for `seconds` of the conversation, in so many parts."""
    contact.hold_seconds = seconds
    contact.holds = holds if seconds else 0
    contact.longest_hold = seconds if holds == 1 else seconds * 2 // 3
