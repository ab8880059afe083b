"""Every vendor's feeds: adding a vendor is one module here and one line in the tuple."""

from contactlake.feeds.connect import CONNECT
from contactlake.feeds.record_type import Feed
from contactlake.feeds.symbee import SYMBEE, SYMBEE_TRANSCRIPTS

FEEDS: tuple[Feed, ...] = (SYMBEE, SYMBEE_TRANSCRIPTS, CONNECT)


def feed_named(name: str) -> Feed:
    for feed in FEEDS:
        if feed.name == name:
            return feed
    raise KeyError(name)
