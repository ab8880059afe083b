"""What Spark says of a storage that fails: told apart from defects, and in one line."""

import re

from contactlake.errors import StorageError

_OURS = re.compile(r"contactlake\.[\w.]+\.(?:StorageError|ObjectVanished|Interrupted): (?P<said>[^\n]+)")
"""An error of our own from an executor, as its traceback ends."""
_REFUSALS = re.compile(
    r"AccessDenied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|NoSuchBucket|UnknownHost|Connection refused|"
    r"AWSBadRequest|Unable to load credentials|DELTA_INVALID_PROTOCOL_VERSION|DELTA_UNSUPPORTED_FEATURES|"
    r"InvalidProtocolVersionException|AccessControlException|Permission denied|No space left|"
    r"DELTA_MISSING_DELTA_TABLE|DELTA_STATE_RECOVER_ERROR|DELTA_LOG_FILE_NOT_FOUND|DELTA_TABLE_NOT_FOUND|"
    # S3A where the server does not answer, breaks off, is busy, or has other bytes than it had
    r"SlowDown|AWSServiceThrottled|AWSStatus500|AWSServiceIOException|AWSS3IOException|AWSClientIOException|"
    r"AWSApiCallTimeout|SdkClientException|SocketTimeoutException|SocketException|HttpChannelEOFException|"
    r"RemoteFileChangedException|FAILED_READ_FILE"
)
_LONGEST = 500


def refusal_of(fault: Exception) -> StorageError | None:
    """The refusal or the break of the storage that made Spark fail; None where something else did."""
    text = str(fault)
    if ours := _OURS.search(text):
        return StorageError(*_parted(ours["said"]))
    found = _REFUSALS.search(text)
    if found is None:
        return None
    line = next(line for line in text.splitlines() if found.group() in line)
    return StorageError(f"the lake refuses: {line.strip()[:_LONGEST]}", "mend the access and run again")


def _parted(said: str) -> tuple[str, str]:
    problem, _, remedy = said.strip()[: 2 * _LONGEST].rpartition("; ")
    return (problem, remedy) if problem else (remedy, "mend the access and run again")
