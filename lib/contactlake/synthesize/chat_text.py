"""What was said in a chat: Symbee's transcript of it, and the figures Amazon Connect draws from it."""

import json
from itertools import pairwise
from typing import NamedTuple

from contactlake.synthesize.dice import Dice
from contactlake.synthesize.instants import Stamps
from contactlake.synthesize.records import Interaction
from contactlake.synthesize.vocabulary import AGENT_LINES, CUSTOMER_LINES

_MOST_MESSAGES = 40


class Message(NamedTuple):
    """One message; `at` is an epoch second, `author` is `customer`, `agent` or `system`."""

    at: int
    author: str
    text: str


def messages_of(task: Interaction, dice: Dice) -> list[Message]:
    """The messages of a chat, from the customer's first words until the wrap begins."""
    at, end = task.initiation // 1000, task.wrap // 1000
    connected = task.connected // 1000
    said = [Message(at, "customer", dice.pick(CUSTOMER_LINES))]
    if dice.random() < 0.03:
        said.append(Message(connected, "system", "You are now connected."))
    at = connected + dice.between(1, 12)
    customer_speaks = False
    while at <= end and len(said) < _MOST_MESSAGES:
        lines = CUSTOMER_LINES if customer_speaks else AGENT_LINES
        said.append(Message(at, "customer" if customer_speaks else "agent", dice.pick(lines)))
        if dice.random() < 0.75:
            customer_speaks = not customer_speaks
        at += 3 + dice.waiting(32.0)
    return said


_DIRECTIONS = {"customer": "Inbound", "agent": "Outbound", "system": "Notice"}


def transcript_text(task: Interaction, said: list[Message], agent_name: str, session_id: str, at: Stamps) -> str:
    """The `CHAT_TRANSCRIPT` object of a chat."""
    members = {"customer": task.far, "agent": agent_name, "system": ""}
    return json.dumps(
        {
            "ActivityType": "CHAT_TRANSCRIPT",
            "SessionId": session_id,
            "Transcript": [
                {
                    "Member": members[message.author],
                    "Timestamp": at[message.at][:19].replace("T", " "),
                    "Direction": _DIRECTIONS[message.author],
                    "Message": message.text,
                }
                for message in said
            ],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def chat_metrics_json(said: list[Message], connected: int, disconnect: int, dice: Dice, at: Stamps) -> str:
    """The contact record's `ChatMetrics`; the overall figures go by either of two names in real records."""
    by_agent = [message for message in said if message.author == "agent"]
    first_response = max(by_agent[0].at - connected, 0) if by_agent else None
    overall = "ContactMetrics" if dice.random() < 0.7 else "ChatContactMetrics"
    last_customer = max((message.at for message in said if message.author == "customer"), default=connected)
    metrics = {
        overall: {
            "MultiParty": False,
            "TotalMessages": len(said),
            "TotalBotMessages": 0,
            "TotalBotMessageLengthInChars": 0,
            "ConversationCloseTimeInMillis": max(disconnect - last_customer, 0) * 1000,
            "ConversationTurnCount": _turns(said),
            "AgentFirstResponseTimestamp": at[by_agent[0].at] if by_agent else None,
            "AgentFirstResponseTimeInMillis": None if first_response is None else first_response * 1000,
        },
        "CustomerMetrics": _participant(said, "customer", "CUSTOMER", dice.uuid(), at),
        "AgentMetrics": _participant(said, "agent", "AGENT", dice.uuid(), at),
    }
    return f'"ChatMetrics":{json.dumps(metrics, separators=(",", ":"))},'


def _turns(said: list[Message]) -> int:
    return sum(1 for before, after in pairwise(said) if before.author != after.author)


def _participant(said: list[Message], author: str, kind: str, participant_id: str, at: Stamps) -> dict[str, object]:
    own = [message for message in said if message.author == author]
    waits = [after.at - before.at for before, after in pairwise(said) if before.author != author == after.author]
    return {
        "ParticipantId": participant_id,
        "ParticipantType": kind,
        "ConversationAbandon": False,
        "MessagesSent": len(own),
        "NumResponses": len(waits),
        "MessageLengthInChars": sum(len(message.text) for message in own),
        "TotalResponseTimeInMillis": sum(waits) * 1000,
        "MaxResponseTimeInMillis": max(waits, default=0) * 1000,
        "LastMessageTimestamp": at[own[-1].at] if own else None,
    }
