"""Where Firehose puts the objects: one prefix per record type, folders by the UTC hour of arrival."""

from dataclasses import dataclass

from contactlake.synthesize.instants import utc
from contactlake.synthesize.recorder import AGENT_EVENTS, CONTACTS, INTERACTIONS, USAGE, WORK_CODES

SYMBEE, CONNECT = "symbee", "connect"


@dataclass(frozen=True, slots=True)
class Stream:
    """One delivery stream; `prefix` is as it was typed into Firehose, a closing slash or none."""

    bucket: str
    prefix: str
    name: str

    def folder(self, hour: int) -> str:
        """The folder of an arrival hour, counted since the epoch."""
        return f"{self.bucket}/{self.prefix}{utc(hour * 3600):%Y/%m/%d/%H}"

    def object_name(self, arrival: int, unique: str) -> str:
        return f"{self.name}-1-{utc(arrival):%Y-%m-%d-%H-%M-%S}-{unique}"

    def failed_folder(self, hour: int) -> str:
        """Firehose's error output, under the same prefix."""
        return f"{self.bucket}/{self.prefix}processing-failed/{utc(hour * 3600):%Y/%m/%d/%H}"


STREAMS = {
    INTERACTIONS: Stream(SYMBEE, "interactions/", "sc-interactions"),
    WORK_CODES: Stream(SYMBEE, "workcodes/", "sc-workcodes"),
    USAGE: Stream(SYMBEE, "usage/", "sc-usage"),
    AGENT_EVENTS: Stream(SYMBEE, "agentevents/", "sc-agentevents"),
    CONTACTS: Stream(CONNECT, "connectCtrAcme", "sc-ctr"),
}
