"""What can go wrong on the way to Bandwidth: whether anything was sent, whether it may pass, and how to say it."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    MaxRetryError,
    NewConnectionError,
    ProxySchemeUnknown,
)

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthError
from airflow_provider_bandwidth.hooks._exchange import AnswerTooLargeError, AnswerTooSlowError
from airflow_provider_bandwidth.wire.documents import clean_text

#: What comes through requests from the layers below it. requests' own errors are OSErrors.
_TRANSPORT_ERRORS: Final = (OSError, ValueError, OverflowError, urllib3.exceptions.HTTPError, http.client.HTTPException)
#: Raised before anything is sent.
_OWN_FAULTS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationParseError,
    ProxySchemeUnknown,
    UnicodeError,
    OverflowError,
)

_Error = TypeVar("_Error", bound=BaseException)


def was_never_sent(error: Exception) -> bool:
    """Whether the connection was never established, so that nothing can have happened at the other end."""
    if isinstance(error, _OWN_FAULTS):
        return True
    if not isinstance(error, requests.RequestException):
        return isinstance(error, OSError)  # a file that is not there; a broken connection is requests' error
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def may_pass(error: Exception) -> bool:
    """Whether the same request may get through a moment later; not if a certificate or the URL itself was refused."""
    if isinstance(error, requests.exceptions.SSLError):
        # TLS reports a connection that breaks off as an end of file.
        return _was_cut_off(error)
    if isinstance(error, _OWN_FAULTS) or find_cause(error, AnswerTooLargeError):
        return False
    return isinstance(
        error,
        requests.ConnectionError
        | requests.Timeout
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    )


def find_cause(error: BaseException | None, *kinds: type[_Error]) -> _Error | None:
    """The first error of one of these kinds among an error and its causes; ``None`` if there is none."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error


def _was_cut_off(error: Exception) -> bool:
    return find_cause(error, ssl.SSLEOFError, ssl.SSLZeroReturnError) is not None


def describe_transport_error(error: Exception, url: str) -> str:
    """What went wrong on the way, without addresses of proxies or anything else that might hold a credential.

    :param url: the URL asked
    """
    limit = find_cause(error, AnswerTooSlowError, AnswerTooLargeError)
    if limit is not None:
        return str(limit)
    if isinstance(error, requests.exceptions.SSLError) and not _was_cut_off(error):
        return _describe_tls_error(error)
    if isinstance(error, _OWN_FAULTS):
        return _describe_own_fault(error, url)
    file_error = find_cause(error, FileNotFoundError, PermissionError, IsADirectoryError)
    if file_error is not None or not isinstance(error, requests.RequestException):
        return _describe_local_error(file_error or error)
    if isinstance(error, requests.exceptions.ProxyError) or _is_of_socks_proxy(error):
        return "the proxy could not be used; check HTTPS_PROXY and ALL_PROXY in the environment"
    if was_never_sent(error):
        return "no connection could be made: host unknown, unreachable, or not listening; check the connection's Host"
    if isinstance(error, requests.Timeout):
        return "no answer within the connection's timeout"
    return f"the connection broke before the answer was complete ({type(error).__name__})"


def _is_of_socks_proxy(error: Exception) -> bool:
    """Whether a SOCKS proxy could not be reached, for which urllib3 has no error of its own."""
    refused = find_cause(error, NewConnectionError)
    return refused is not None and type(getattr(refused, "conn", None)).__name__.startswith("SOCKS")


def _describe_tls_error(error: Exception) -> str:
    cause = find_cause(error, ssl.SSLError)
    if cause is not None and cause.library in ("X509", "PEM"):
        return "the CA bundle cannot be read; check the connection's verify, or REQUESTS_CA_BUNDLE in the environment"
    reason = f" ({cause.reason})" if cause is not None and cause.reason else ""
    return (
        f"the TLS connection failed{reason}; if the certificate is from your own authority, set the connection's verify"
    )


def _describe_own_fault(error: Exception, url: str) -> str:
    host = urlsplit(url).hostname or ""
    if isinstance(error, OverflowError):
        return "the connection's timeout is longer than this machine can wait"
    location = find_cause(error, LocationParseError)
    if (
        isinstance(error, requests.exceptions.InvalidProxyURL | requests.exceptions.InvalidSchema)
        or find_cause(error, ProxySchemeUnknown)
        or (location is not None and host not in str(location).lower())
    ):
        return (
            "the proxy could not be used; check HTTPS_PROXY and ALL_PROXY in the environment. A SOCKS proxy needs the "
            "package pysocks"
        )
    return "the URL cannot be used; check the connection's Host"


def _describe_local_error(error: Exception) -> str:
    bundle = re.search(r"invalid path: (.*)", str(error))
    if bundle is not None:
        return (
            f"the CA bundle {clean_text(bundle[1])} is not there; check the connection's verify, or REQUESTS_CA_BUNDLE "
            "and CURL_CA_BUNDLE in the environment"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"the request could not be made: {error.strerror}: {clean_text(str(error.filename or 'no file'))}"
    return f"the request could not be made ({type(error).__name__})"


@contextmanager
def translating_transport_errors(url: str, *, doubt: Callable[[str], BandwidthError] | None = None) -> Iterator[None]:
    """Turn an error of requests or of the layers below it into one of ours, which shows no credential.

    :param doubt: makes the error of a request that may have been acted upon, given what went wrong; ``None`` where that
        does no harm
    """
    try:
        yield
    except BandwidthError:  # some are ValueErrors
        raise
    except _TRANSPORT_ERRORS as error:
        problem = describe_transport_error(error, url)
        never_sent = was_never_sent(error)
        if doubt is not None and not never_sent:
            raise doubt(problem) from None
        if doubt is not None:
            problem = f"{problem}. Nothing was created"
        raise BandwidthApiError(problem, url=url, retryable=may_pass(error)) from None
