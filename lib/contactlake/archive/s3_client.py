"""The S3 client and what its failures mean."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)
from urllib3.exceptions import HTTPError

from contactlake.archive.storage import S3Options
from contactlake.errors import StorageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)
_GIVE_CREDENTIALS = "give credentials through the standard AWS chain: environment, profile or instance role"
_CHECK_REGION = "set region in [storage.s3], or AWS_REGION, to the bucket's own"
_REMEDIES = {
    "NoSuchBucket": "create the bucket, or mend its name in the configuration",
    "InvalidObjectState": "the object lies in an archive tier: restore it first",
    "RequestTimeTooSkewed": "set this host's clock",
    "PermanentRedirect": _CHECK_REGION,
    "AuthorizationHeaderMalformed": _CHECK_REGION,
}

_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 30
"""A connection that is not there, or silent, for so long is given up, and another one tried."""
_ATTEMPTS = 8
_RETRY_SECONDS = 100
"""For so long object_store tries one request again: less than a lease lasts, which it may keep from being renewed."""

_connecting = Lock()


def client(options: S3Options) -> "S3Client":
    """This process's client, made on first use, with the credentials of the standard chain; threads may share it.

    Raises `StorageError` for an endpoint that is no URL, and botocore's own errors, for `refusals` to name.
    """
    return _connected(options)[1]


def connection(options: S3Options, bucket: str) -> dict[str, str]:
    """How another library reaches `bucket`, by the option names of Rust's object_store.

    Holds credentials as they are now, which may expire within a quarter of an hour: for use at once, never for a log.
    Raises what `client` raises.
    """
    session, s3 = _connected(options)
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    frozen = credentials.get_frozen_credentials()
    address = urlsplit(s3.meta.endpoint_url)
    host = address.hostname or ""
    # As botocore does it: where the bucket cannot be a part of the host's name, it is one of the path.
    is_in_path = options.path_style or "." in bucket or _is_ip_address(host)
    known = {
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
        "aws_region": s3.meta.region_name if s3.meta.region_name != "aws-global" else "us-east-1",
        "aws_conditional_put": "etag",
        "aws_virtual_hosted_style_request": str(not is_in_path).lower(),
        "connect_timeout": f"{_CONNECT_SECONDS}s",
        "timeout": f"{_ANSWER_SECONDS}s",
        "retry_timeout": f"{_RETRY_SECONDS}s",
    }
    if not host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        # With the bucket in the host's name, object_store wants it in the endpoint, too.
        place = address.netloc if is_in_path else f"{bucket}.{address.netloc}"
        known |= {
            "aws_endpoint": f"{address.scheme}://{place}",
            "aws_allow_http": str(address.scheme == "http").lower(),
        }
    return {name: value for name, value in known.items() if value}


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _connected(options: S3Options) -> "tuple[boto3.session.Session, S3Client]":
    # New keys or another profile in the environment are a new client: in a notebook, say.
    environment = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    with _connecting:
        return _connect(options, os.getpid(), environment)


@lru_cache(maxsize=8)
def _connect(
    options: S3Options, process: int, environment: tuple[tuple[str, str], ...]
) -> "tuple[boto3.session.Session, S3Client]":
    """A session and its client.

    `process` and `environment` only tell one from another: the two sides of a fork may not share one.
    """
    config = Config(
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        max_pool_connections=32,
        s3={"addressing_style": "path" if options.path_style else "auto"},
        # The servers that speak S3 do not all know its newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        # A session of its own: the default one must not be shared between threads.
        session = boto3.session.Session()
        return session, session.client("s3", endpoint_url=options.endpoint, region_name=options.region, config=config)
    except ValueError as error:
        raise StorageError(
            f"the S3 endpoint {options.endpoint!r} is no URL", "set endpoint in [storage.s3] to http(s)://host:port"
        ) from error


@contextmanager
def refusals(uri: str) -> Iterator[None]:
    """What fails within is a `StorageError` that names `uri` and the refusal, and never a credential."""
    try:
        yield
    except ClientError as error:
        code, status = code_of(error), status_of(error)
        raise StorageError(f"{uri}: refused with {code} (HTTP {status})", remedy(code, status)) from error
    except _NO_CREDENTIALS as error:
        raise StorageError(f"{uri}: no credentials ({type(error).__name__})", _GIVE_CREDENTIALS) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        check = "see that the server is up and reachable, and that endpoint and region in [storage.s3] are right"
        raise StorageError(f"{uri} cannot be reached: {type(error).__name__}", check) from error


def remedy(code: str, status: int) -> str:
    """What the user can do about a refusal with this code and HTTP status."""
    if code in _REMEDIES:
        return _REMEDIES[code]
    if status in (301, 307):
        return _CHECK_REGION
    if status in (400, 401, 403):  # 400: a HEAD's answer to an expired token
        return "check the credentials, and that they may list, read and (in the lake) write and delete there"
    return "see the server's own log, or try again later"


def code_of(error: ClientError) -> str:
    """The server's own code, or the HTTP status where the answer had no body (HEAD)."""
    return error.response.get("Error", {}).get("Code", "unknown")


def status_of(error: ClientError) -> int:
    """The HTTP status."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
