"""From what happened to what the feeds deliver: records become text and are posted with the second of arrival."""

from typing import Protocol

from contactlake.synthesize.centre import Agent, Centre
from contactlake.synthesize.contacts import Contact, contact_text
from contactlake.synthesize.instants import Stamps
from contactlake.synthesize.records import (
    Interaction,
    Posture,
    agent_event_text,
    interaction_text,
    usage_text,
    work_code_text,
)

INTERACTIONS, WORK_CODES, USAGE = "interactions", "workcodes", "usage"
AGENT_EVENTS, CONTACTS, TRANSCRIPTS = "agentevents", "contacts", "transcripts"
TYPES = (INTERACTIONS, WORK_CODES, USAGE, AGENT_EVENTS, CONTACTS, TRANSCRIPTS)

_PUBLISHED_AFTER = 4  # seconds from an event to its arrival in the archive


class Outlet(Protocol):
    """Where records go: the archive, or whatever comes between."""

    def post(self, record_type: str, record: bytes, arrival: int) -> None:
        """Deliver one record, which arrives at the given epoch second."""

    def post_transcript(self, key: str, transcript: bytes) -> None:
        """Save one chat transcript under its key."""


class Recorder:
    """Writes the records of the wanted types to an outlet."""

    def __init__(self, centre: Centre, wanted: frozenset[str], outlet: Outlet, stamps: Stamps) -> None:
        self._instance_arn = centre.instance_arn
        self._outlet = outlet
        self._stamps = stamps
        self.interactions_wanted = INTERACTIONS in wanted
        self._work_codes = WORK_CODES in wanted
        self._usage = USAGE in wanted
        self.contacts_wanted = CONTACTS in wanted
        self.agent_events_wanted = AGENT_EVENTS in wanted
        self.transcripts_wanted = TRANSCRIPTS in wanted

    def interaction(self, task: Interaction) -> None:
        if self.interactions_wanted:
            text = interaction_text(task, self._stamps)
            self._outlet.post(INTERACTIONS, text.encode(), task.completed // 1000 + _PUBLISHED_AFTER)

    def contact(self, contact: Contact, settled_after: int = 65) -> None:
        """A contact's record is published about a minute after its end, which is its last update."""
        if self.contacts_wanted:
            contact.last_update = contact.end + settled_after
            text = contact_text(contact, self._instance_arn, self._stamps)
            self._outlet.post(CONTACTS, text.encode(), contact.last_update + _PUBLISHED_AFTER)

    def work_code(self, task: Interaction, agent: Agent, group: str, code: str, at: int) -> None:
        if self._work_codes:
            text = work_code_text(task, agent, group, code, self._stamps[at // 1000])
            self._outlet.post(WORK_CODES, text.encode(), at // 1000 + _PUBLISHED_AFTER)

    def usage(self, agent: Agent, action: str, at: int) -> None:
        if self._usage:
            text = usage_text(agent, action, self._stamps[at // 1000])
            self._outlet.post(USAGE, text.encode(), at // 1000 + _PUBLISHED_AFTER)

    def agent_event(self, agent: Agent, session_id: str, event: str, now: Posture, before: Posture) -> None:
        if self.agent_events_wanted:
            text = agent_event_text(agent, session_id, event, now, before, self._stamps)
            self._outlet.post(AGENT_EVENTS, text.encode(), now.since // 1000 + _PUBLISHED_AFTER)

    def transcript(self, key: str, text: str) -> None:
        if self.transcripts_wanted:
            self._outlet.post_transcript(key, text.encode())
