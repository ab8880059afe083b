"""The centre itself: who works there, in which queues, and the fragments of JSON that never change."""

from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from contactlake.synthesize.dice import Dice
from contactlake.synthesize.vocabulary import (
    AMAZON_CHAT_QUEUE,
    AMAZON_TASK_QUEUE,
    DEPARTMENTS,
    FIRST_NAMES,
    LAST_NAMES,
    OUTBOUND_QUEUE,
    REGIONS,
    VOICE_QUEUES,
)

COMPANY, ENVIRONMENT = "abccompany", "prod"
PLATFORM_JSON = f'"PlatformId":"AWS Connect","CompanyId":"{COMPANY}","Environment":"{ENVIRONMENT}"'
AWS_ACCOUNT = "111122223333"
TRANSCRIPT_BUCKET = "sc-reporting-prod-999123456789"
POD_SIZE = 12

BLENDED, VOICE_ONLY, DIGITAL = "blended", "voice", "digital"
_SKILLS = (
    BLENDED,
    VOICE_ONLY,
    BLENDED,
    DIGITAL,
    BLENDED,
    VOICE_ONLY,
    BLENDED,
    BLENDED,
    VOICE_ONLY,
    BLENDED,
    DIGITAL,
    BLENDED,
)
_ROUTING_PROFILES = {BLENDED: "Blended", VOICE_ONLY: "Voice Only", DIGITAL: "Digital"}
_SHIFT_STARTS = (420, 450, 480, 480, 510, 540, 540, 600, 660, 720, 780, 840, 480, 495, 570, 1_290)
_USERNAMES = len(FIRST_NAMES) * len(LAST_NAMES)
_STEP = 641  # no common divisor with the number of user names, so that every name comes up before one comes twice


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    arn: str


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent; `off_days` are weekdays (Monday 0), `shift_start` is a minute of the local day."""

    username: str
    first_name: str
    symbee_json: str
    arn: str
    groups_json: str
    routing_json: str
    skill: str
    voice_queues: tuple[Queue, ...]
    shift_start: int
    off_days: tuple[int, ...]

    @property
    def takes_calls(self) -> bool:
        return self.skill != DIGITAL


@dataclass(frozen=True)
class Centre:
    """A centre of `agents` agents, each with two days off a week, but with none where they are fewer than seven.

    Equal seeds give equal agents, whatever their number.
    """

    seed: int
    agents: int
    zone: ZoneInfo

    def _uuid(self, *name: object) -> str:
        return Dice("|".join(map(str, (self.seed, *name)))).uuid()

    @cached_property
    def instance_arn(self) -> str:
        return f"arn:aws:connect:us-east-1:{AWS_ACCOUNT}:instance/{self._uuid('instance')}"

    @cached_property
    def queues(self) -> dict[str, Queue]:
        names = (*VOICE_QUEUES, AMAZON_CHAT_QUEUE, AMAZON_TASK_QUEUE, OUTBOUND_QUEUE)
        return {name: Queue(name, f"{self.instance_arn}/queue/{self._uuid('queue', name)}") for name in names}

    @cached_property
    def _routing_json(self) -> dict[str, str]:
        return {
            skill: f'{{"ARN":"{self.instance_arn}/routing-profile/{self._uuid("routing", skill)}","Name":"{name}"}}'
            for skill, name in _ROUTING_PROFILES.items()
        }

    @cached_property
    def _first_name_index(self) -> int:
        return Dice(f"{self.seed}|names").between(0, _USERNAMES)

    def _name(self, index: int) -> tuple[str, str]:
        turn, place = divmod(index, _USERNAMES)
        first, last = divmod((place * _STEP + self._first_name_index) % _USERNAMES, len(LAST_NAMES))
        suffix = str(turn + 1) if turn else ""
        return FIRST_NAMES[first], f"{FIRST_NAMES[first][0].lower()}{LAST_NAMES[last]}{suffix}"

    def team(self, pod: int) -> tuple[str, str]:
        """The pod's hierarchy as Symbee writes it, and its groups as Amazon Connect does; every seventh has none."""
        if pod % 7 == 5:
            return "", "null"
        _, lead = self._name(pod * POD_SIZE)
        names = (
            REGIONS[pod % len(REGIONS)],
            DEPARTMENTS[pod // 2 % len(DEPARTMENTS)],
            lead[0].upper() + lead[1:].capitalize(),
        )
        levels = ",".join(
            f'"Level{level}":{{"ARN":"{self.instance_arn}/agent-group/{self._uuid("group", *names[:level])}",'
            f'"GroupName":"{name}"}}'
            for level, name in enumerate(names, 1)
        )
        return "|".join(names), f'{{{levels},"Level4":null,"Level5":null}}'

    def agent(self, index: int, team: tuple[str, str]) -> Agent:
        """Agent number `index`, of the given team."""
        first_name, username = self._name(index)
        dice = Dice(f"{self.seed}|agent|{index}")
        hierarchy, groups = team
        skill = _SKILLS[index % len(_SKILLS)]
        home = dice.between(0, len(VOICE_QUEUES))
        queues = tuple(self.queues[VOICE_QUEUES[(home + step) % len(VOICE_QUEUES)]] for step in (0, 0, 1))
        return Agent(
            username=username,
            first_name=first_name,
            symbee_json=f'"Username":"{username}","UserReportHierarchy":"{hierarchy}"',
            arn=f"{self.instance_arn}/agent/{dice.uuid()}",
            groups_json=groups,
            routing_json=self._routing_json[skill],
            skill=skill,
            voice_queues=queues,
            shift_start=dice.pick(_SHIFT_STARTS),
            off_days=() if self.agents < 7 else (index * 3 % 7, (index * 3 + 1) % 7),
        )

    def outsider(self, pod: int, role: str) -> Agent:
        """Someone known to Amazon Connect alone, such as a back-office agent or a supervisor."""
        dice = Dice(f"{self.seed}|{role}|{pod}")
        return Agent(
            username=f"{role}.{pod + 1:03d}",
            first_name=role.capitalize(),
            symbee_json=f'"Username":"{role}.{pod + 1:03d}","UserReportHierarchy":""',
            arn=f"{self.instance_arn}/agent/{dice.uuid()}",
            groups_json="null",
            routing_json=self._routing_json[VOICE_ONLY],
            skill=VOICE_ONLY,
            voice_queues=(self.queues[VOICE_QUEUES[pod % len(VOICE_QUEUES)]],),
            shift_start=480,
            off_days=(5, 6),
        )

    @property
    def pods(self) -> int:
        return -(-self.agents // POD_SIZE)

    def members(self, pod: int, weekday: int) -> list[Agent]:
        """The pod's agents who work on that weekday, in a fixed order."""
        team = self.team(pod)
        indexes = range(pod * POD_SIZE, min(self.agents, (pod + 1) * POD_SIZE))
        return [agent for index in indexes if weekday not in (agent := self.agent(index, team)).off_days]
