"""An agent's session as the two agent feeds see it: state changes, logins and the heartbeats of use."""

from contactlake.synthesize.centre import Agent
from contactlake.synthesize.floor import Floor
from contactlake.synthesize.instants import NEVER
from contactlake.synthesize.records import Interaction, Posture

IDLE, RESERVING, RESERVED, WORKING, WRAP = "IDLE", "RESERVING", "RESERVED", "WORKING", "WRAP"
UNAVAILABLE, PENDING_UNAVAILABLE, LOGGED_OFF = "UNAVAILABLE", "PENDING_UNAVAILABLE", "LOGGED_OFF"
ALERTING, ACTIVE, WRAPPING, PARKED = "ALERTING", "ACTIVE", "WRAP", "PARKED"

_HEARTBEAT_MS = 900_000
_LOGGED_OFF = Posture(LOGGED_OFF, NEVER)


class Desk:
    """One agent's place; instants in milliseconds, handed in in order."""

    def __init__(self, floor: Floor, agent: Agent) -> None:
        self._recorder = floor.recorder
        self._dice = floor.dice
        self._agent = agent
        self._session_id = ""
        self._since = 0
        self._posture = _LOGGED_OFF
        self._wanted = floor.recorder.agent_events_wanted

    def login(self, at: int) -> None:
        self._session_id = self._dice.uuid()
        self._since = at
        self._posture = _LOGGED_OFF
        self.move(at, IDLE, event="LOGIN")
        self._recorder.usage(self._agent, "BEGIN", at)

    def move(
        self,
        at: int,
        state: str,
        *,
        reason: str = "",
        tasks: int = 0,
        focus: Interaction | None = None,
        focus_state: str = "",
        event: str = "STATE_CHANGE",
    ) -> None:
        if self._wanted:
            posture = Posture(state, at, reason, tasks, focus, focus_state)
            self._recorder.agent_event(self._agent, self._session_id, event, posture, self._posture)
            self._posture = posture

    def leave(self, at: int, event: str) -> None:
        """End the session by `LOGOUT` or `TIMEOUT`, or by nothing at all where `event` is empty."""
        if event:
            self.move(at, LOGGED_OFF, event=event)
        for beat in range(self._since + _HEARTBEAT_MS, at, _HEARTBEAT_MS):
            self._recorder.usage(self._agent, "ALIVE", beat)
        if event == "LOGOUT":
            self._recorder.usage(self._agent, "END", at)
