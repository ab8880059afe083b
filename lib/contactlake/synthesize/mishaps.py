"""What goes wrong between the centre and the archive, each kind counted by name."""

import io
import zipfile
from collections import Counter

from contactlake.synthesize.centre import Centre
from contactlake.synthesize.contacts import Contact
from contactlake.synthesize.dice import Dice
from contactlake.synthesize.instants import Stamps
from contactlake.synthesize.layout import STREAMS
from contactlake.synthesize.malformed import MALFORMATIONS
from contactlake.synthesize.outbox import Batch, Outbox, Packed, gzip
from contactlake.synthesize.recorder import Recorder
from contactlake.synthesize.records import Interaction

MALFORMED, LATE, DUPLICATE = 0.013, 0.020, 0.015
"""The shares of records spoiled, delayed and delivered twice."""

_HOUR = 3600
_DELAYS = (2 * _HOUR, 5 * _HOUR, 9 * _HOUR, 26 * _HOUR, 50 * _HOUR, 122 * _HOUR)
_DELIMITERS = (b"", b"\n", b"\\n", b" \r\n")


class UntidyPacking:
    """Every delimiter and every compression that Firehose and its users come up with, in turn."""

    def __init__(self, dice: Dice, faults: Counter[str]) -> None:
        self._faults = faults
        self._packed = dice.between(0, 28)

    def pack(self, batch: Batch) -> Packed:
        self._packed += 1
        text = self._text(batch)
        match self._packed % 7:
            case 0 | 1 | 2:
                return Packed(text)
            case 3:
                return Packed(gzip(text), ".gz")
            case 4:
                half = len(text) // 2
                return Packed(gzip(text[:half]) + gzip(text[half:]))
            case 5:
                return Packed(_zipped(text), ".zip")
            case _:
                return Packed(_zipped(text))

    def _text(self, batch: Batch) -> bytes:
        form = self._packed % 6
        if form == 5 and not batch.undecodable:
            self._faults["array"] += 1
            return b"[" + b",".join(batch.records) + b"]"
        delimiter = _DELIMITERS[form % 4]
        text = delimiter.join(batch.records) + delimiter
        if self._packed % 11 == 0:
            self._faults["byte_order_mark"] += 1
            return b"\xef\xbb\xbf" + text
        return text


def _zipped(text: bytes) -> bytes:
    """A zip of two members, undated, so that equal content gives equal objects."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        half = len(text) // 2
        for name, part in (("part-1", text[:half]), ("part-2", text[half:])):
            archive.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED, 1)
    return packed.getvalue()


class Untidy:
    """An outlet that spoils, delays and repeats some of what it delivers."""

    def __init__(self, outbox: Outbox, dice: Dice) -> None:
        self._outbox = outbox
        self._dice = dice
        self._faults = outbox.tally.faults

    def post(self, record_type: str, record: bytes, arrival: int) -> None:
        chance = self._dice.random()
        if chance < MALFORMED:
            self._spoil(record_type, record, arrival)
            if chance > MALFORMED / 2:
                return
        elif chance < MALFORMED + LATE:
            self._faults["late"] += 1
            arrival += self._dice.pick(_DELAYS)
        elif chance < MALFORMED + LATE + DUPLICATE:
            self._faults["duplicate"] += 1
            again = arrival + self._dice.pick((0, 0, 0, _HOUR, _DELAYS[2]))
            self._outbox.post(record_type, record, again)
        self._outbox.post(record_type, record, arrival)

    def _spoil(self, record_type: str, record: bytes, arrival: int) -> None:
        way = self._dice.pick(MALFORMATIONS[record_type])
        if not way.keeps_start and self._outbox.batch(record_type, arrival).loose_end:
            way = MALFORMATIONS[record_type][0]
        spoiled = way.spoil(record, self._dice)
        if spoiled == record:
            way = MALFORMATIONS[record_type][0]
            spoiled = way.spoil(record, self._dice)
        self._faults[f"malformed_{way.kind}"] += 1
        loose = way.broken or not way.keeps_start
        self._outbox.post(record_type, spoiled, arrival, broken=way.broken, loose=loose)

    def post_transcript(self, key: str, transcript: bytes) -> None:
        chance = self._dice.random()
        if chance < 0.010:
            self._faults["lost_transcript"] += 1
            return
        if chance < 0.018:
            self._faults["malformed_transcript"] += 1
            transcript = transcript[: len(transcript) // 2]
        elif chance < 0.2:
            transcript = gzip(transcript)
        self._outbox.post_transcript(key, transcript)


class UntidyRecorder(Recorder):
    """A recorder for which one side of a task is lost now and then, or its clocks disagree with the other's."""

    def __init__(
        self, centre: Centre, wanted: frozenset[str], outlet: Untidy, stamps: Stamps, dice: Dice, faults: Counter[str]
    ) -> None:
        super().__init__(centre, wanted, outlet, stamps)
        self._dice = dice
        self._faults = faults

    def interaction(self, task: Interaction) -> None:
        chance = self._dice.random()
        if task.provider != "AMAZON" or chance > 0.007 or not self.interactions_wanted:
            super().interaction(task)
        elif chance < 0.004:
            self._faults["lost_interaction"] += 1
        else:
            super().interaction(task)
            self._again(task)

    def _again(self, task: Interaction) -> None:
        """A second task on the same contact, such as the offer that an agent let pass."""
        self._faults["extra_interaction"] += 1
        offered = task.initiation - self._dice.between(25_000, 60_000)
        missed = Interaction(
            self._dice.uuid(),
            task.contact_id,
            task.task_type,
            task.method,
            task.provider,
            task.agent,
            task.queue,
            task.far,
        )
        missed.initiation = missed.assigned = offered
        missed.completed = offered + 20_000
        super().interaction(missed)

    def contact(self, contact: Contact, settled_after: int = 65) -> None:
        if not self.contacts_wanted:
            return
        chance = self._dice.random()
        if contact.agent is not None and chance < 0.004:
            self._faults["lost_contact"] += 1
            return
        if contact.agent is not None and chance < 0.016:
            self._faults["clock_difference"] += 1
            self._disagree(contact)
        super().contact(contact, settled_after)
        if chance > 0.97:
            self._faults["redelivered_contact"] += 1
            contact.attributes = f'{contact.attributes[:-1]},"surveyResult":"{self._dice.between(1, 6)}"}}'
            super().contact(contact, settled_after + self._dice.pick((300, 5_400, 93_000, 468_000)))

    def _disagree(self, contact: Contact) -> None:
        """Move one of the contact's times out of tolerance; its durations still follow from its times."""
        seconds = self._dice.between(5, 90)
        if self._dice.random() < 0.6:
            contact.acw_end += seconds
        else:
            contact.connected -= min(seconds, 20)


def litter(outbox: Outbox, wanted: frozenset[str], hour: int, dice: Dice) -> None:
    """Leave beside the data what is no data, and an object that can't be read, under every wanted prefix."""
    faults = outbox.tally.faults
    for record_type in (name for name in STREAMS if name in wanted):
        stream = STREAMS[record_type]
        folder = stream.folder(hour)
        outbox.write_object(f"{folder}/_SUCCESS", b"")
        outbox.write_object(f"{folder}/{stream.object_name(hour * 3600, dice.uuid())}", b"")
        failure = b'{"attemptsMade":4,"errorCode":"Lambda.FunctionError","rawData":"e30="}'
        outbox.write_object(f"{stream.failed_folder(hour)}/{stream.object_name(hour * 3600, dice.uuid())}", failure)
        torn = gzip(b'{"ActivityType":"' + dice.randbytes(600).hex().encode())
        outbox.write_object(
            f"{folder}/{stream.object_name(hour * 3600 + 1800, dice.uuid())}.gz", torn[: len(torn) // 2]
        )
        outbox.tally.objects += 1
        for kind in ("marker", "empty_object", "failed_object", "corrupt_object"):
            faults[kind] += 1
