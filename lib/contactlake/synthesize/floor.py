"""The floor of one team on one day: what its members share while their shifts are played one after the other."""

from dataclasses import dataclass, field
from datetime import date

from contactlake.synthesize.centre import Agent, Centre, Queue
from contactlake.synthesize.contacts import CURRENT, FORMER, NEWER, Contact
from contactlake.synthesize.dice import Dice
from contactlake.synthesize.instants import Stamps, local_second
from contactlake.synthesize.recorder import Recorder
from contactlake.synthesize.records import Interaction
from contactlake.synthesize.vocabulary import AREA_CODES, CUSTOMER_NAMES, WORK_CODES, WORK_GROUP_OF

LOAD = (20, 15, 15, 15, 15, 20, 40, 80, 120, 150, 165, 160, 130, 125, 140, 145, 135, 115, 90, 70, 60, 50, 40, 30)
"""How busy each hour of the local day is; 100 is the average of a working hour."""

_INTERACTIONS_PER_DAY = 35.0
_USUAL_ATTRIBUTES = 128


@dataclass(frozen=True, slots=True)
class Handoff:
    """A contact or chat that an agent passes on; whoever is free at `connect_at` (milliseconds) gets it.

    `kind` is `blind`, `warm`, `consult`, `conference` or `chat`; `until` bounds a consult or a conference.
    """

    kind: str
    connect_at: int
    offered_at: int
    until: int
    contact_id: str
    origin: Interaction
    initial_id: str
    queue: Queue | None
    customer: str
    dialled: str


@dataclass(slots=True)
class Floor:
    """One team's day."""

    centre: Centre
    day: date
    pod: int
    dice: Dice
    recorder: Recorder
    stamps: Stamps
    pace: float
    handoffs: list[Handoff] = field(default_factory=list)
    midnight: int = 0
    _contact_attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.midnight = local_second(self.day, 0, self.centre.zone)
        self._contact_attributes = tuple(self._compose_attributes() for _ in range(_USUAL_ATTRIBUTES))

    def load(self, at: int) -> int:
        """How busy the centre is at an instant (milliseconds), in per cent of the average."""
        return LOAD[(at // 1000 - self.midnight) // 3600 % 24]

    def queue_seconds(self, at: int) -> int:
        """How long somebody waits for an agent: often hardly at all, longer in the busy hours."""
        dice = self.dice
        if dice.random() < 0.42:
            return dice.between(1, 8)
        return min(dice.waiting(0.36 * self.load(at)) + 2, 900)

    def talk_ms(self, median_seconds: float) -> int:
        """A conversation's length."""
        return max(int(self.dice.skewed(median_seconds * 1000.0, 0.75) * self.pace), 4_000)

    def wrap_ms(self) -> int:
        """Time spent afterwards; nothing in about one of eight."""
        dice = self.dice
        return 0 if dice.random() < 0.12 else int(dice.skewed(38_000.0, 0.8) * self.pace) + 700

    def phone(self) -> str:
        """A telephone number of the range kept for fiction."""
        chance = self.dice.getrandbits(16)
        return f"+1{AREA_CODES[chance & 7]}55501{(chance >> 3) % 100:02d}"

    def contact(self, contact_id: str, channel: str, method: str, customer: str, dialled: str) -> Contact:
        """A contact of today's usual shape."""
        chance = self.dice.getrandbits(14)
        contact = Contact(contact_id, channel, method, customer, dialled)
        contact.attributes = f'{{"AcmeContactId":"{contact_id}",{self._contact_attributes[chance & 127]}'
        contact.schema = (FORMER if chance < 4 * 128 else NEWER) if chance < 24 * 128 else CURRENT
        return contact

    def _compose_attributes(self) -> str:
        dice = self.dice
        account, priority = dice.pick(("", "A14", "B02")), dice.pick(("HIGH", "LOW"))
        greeting = dice.pick(("true", "false"))
        other_case = f',"GreetingPlayed":"{dice.pick(("true", "false"))}"' if dice.random() < 0.06 else ""
        return (
            f'"Acct_Code":"{account}","AtcResult":"{dice.pick("NY")}","CodeNum":"{dice.between(0, 9)}",'
            f'"PathCode":"path_{dice.between(1, 40):03d}","SurveyFlag":"{dice.pick("NY")}","SurveyPlay":"All",'
            f'"TodayContact":"{dice.pick("NY")}","Type_Flag":"","acmePriority":"{priority}",'
            f'"ewtcheck":"{dice.pick("NY")}","greetingPlayed":"{greeting}"{other_case}}}'
        )

    def task_attributes(self) -> str:
        """An interaction's attributes, as JSON: often none; some keys that differ only in case, some hostile text."""
        chance = self.dice.getrandbits(32)
        if chance % 100 < 34:
            return "null"
        name = CUSTOMER_NAMES[chance >> 8 & 15]
        extra = ""
        if chance % 100 > 95:
            extra = ',"Tier":"Gold","tier":"x"'
        elif chance % 100 == 95:
            extra = ',"Note":"say \\"{\\\\\\"ActivityType\\\\\\":1}\\" }{ ok"'
        return (
            f'{{"Email":"customer{chance >> 12 & 4095}@example.com",'
            f'"Phone":"{AREA_CODES[chance >> 4 & 7]}55501{chance >> 16 & 63:02d}",'
            f'"FullName":"{name}","SubscriberId":"{chance >> 5 & 134_217_727:09d}"{extra}}}'
        )

    def new_task(
        self, task_type: str, method: str, provider: str, agent: Agent | None, queue: str, far: str, near: str = ""
    ) -> Interaction:
        dice = self.dice
        task = Interaction(dice.uuid(), dice.uuid(), task_type, method, provider, agent, queue, far, near)
        task.work_handle = dice.between(100, 1000)
        task.attributes = self.task_attributes()
        return task

    def finish(self, task: Interaction, agent: Agent) -> None:
        """Publish a task that an agent has completed, and the work codes selected for it: one, seldom two or none."""
        chance = self.dice.random()
        if chance < 0.93:
            group = WORK_GROUP_OF.get(task.task_type, "Chat")
            codes = WORK_CODES[group]
            first = int(chance * 1000) % len(codes)
            at = max(task.wrap, task.completed - 1_500)
            self.recorder.work_code(task, agent, group, codes[first], at)
            if chance < 0.08:
                self.recorder.work_code(task, agent, group, codes[first - 1], at)
        self.recorder.interaction(task)
