"""The sandbox as a command."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import textwrap
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_bandwidth.sandbox.dashboard import OPERATIONS
from airflow_provider_bandwidth.sandbox.faults import FAULT_KINDS
from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS, Effect
from airflow_provider_bandwidth.sandbox.settings import (
    DEFAULT_ACCOUNT,
    DEFAULT_LOGIN,
    DEFAULT_PASSWORD,
    DEFAULT_SITES,
    LOOPBACK,
    Settings,
)
from airflow_provider_bandwidth.sandbox.validation import is_nanp

if TYPE_CHECKING:
    from airflow_provider_bandwidth.sandbox.control import Endpoint

_PROGRAM: Final = "python -m airflow_provider_bandwidth.sandbox"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGINT or SIGTERM.

    :return: the exit code: 0 when told to stop, 1 when it could not start; wrong arguments exit with 2
    """
    try:
        from airflow_provider_bandwidth.sandbox import Sandbox
        from airflow_provider_bandwidth.sandbox.control import ENDPOINTS
    except ImportError as error:
        print(error, file=sys.stderr)
        return 1
    parser = _make_parser(ENDPOINTS)
    options = parser.parse_args(arguments)
    try:
        sandbox = Sandbox(
            host=options.host,
            port=options.port,
            accounts=(DEFAULT_ACCOUNT, *options.account),
            sites=_parse_sites(options.site),
            login=options.login,
            password=options.password,
            imported=_read_numbers(options.imported),
            owned=_read_numbers(options.owned),
            **{item.name: getattr(options, item.name) for item in dataclasses.fields(Settings)},
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox.start()
    except (OSError, OverflowError) as error:
        print(f"{_PROGRAM}: cannot listen on port {options.port}: {error}", file=sys.stderr)
        return 1
    print(sandbox.connection_json, flush=True)
    print(f"Bandwidth sandbox: orders, numbers and requests at {sandbox.url}/ - stop with Ctrl-C", file=sys.stderr)
    stop.wait()
    sandbox.stop()
    return 0


def _parse_sites(given: Iterable[str]) -> dict[str, list[str]]:
    sites = {site: list(peers) for site, peers in DEFAULT_SITES.items()}
    for text in given:
        site, _, peers = text.partition(":")
        if not (site.isdecimal() and all(peer.isdecimal() for peer in peers.split(","))):
            raise ValueError(f"--site {text}: expected SITE:PEER or SITE:PEER,PEER in digits, for example 744:303717")
        known = sites.setdefault(site, [])
        known += [peer for peer in peers.split(",") if peer not in known]
    return sites


def _read_numbers(path: Path | None) -> list[str]:
    if path is None:
        return []
    numbers = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number in numbers:
        if not is_nanp(number):
            raise ValueError(f"{path}: {number!r} is not a telephone number of ten digits")
    return numbers


def _make_parser(endpoints: Iterable[Endpoint]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        usage=f"{_PROGRAM} [options]",
        description=_DESCRIPTION,
        epilog=_epilog(endpoints),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default=LOOPBACK[0], choices=LOOPBACK, help="address (default %(default)s)")
    parser.add_argument("--port", type=int, default=8085, help="port, 0 for a free one (default %(default)s)")
    parser.add_argument(
        "--account", action="append", default=[], metavar="ID", help=f"another account beside {DEFAULT_ACCOUNT}"
    )
    parser.add_argument(
        "--site",
        action="append",
        default=[],
        metavar="SITE:PEER[,PEER...]",
        help="another site with its SIP peers, the first being its default, or more peers of a known site; "
        f"every account has all sites (default {_default_sites()})",
    )
    parser.add_argument("--login", default=DEFAULT_LOGIN, help="OAuth2 client id and Basic user (default %(default)s)")
    parser.add_argument(
        "--password", default=DEFAULT_PASSWORD, help="OAuth2 client secret and Basic password (default %(default)s)"
    )
    parser.add_argument(
        "--imported", type=Path, metavar="FILE", help="telephone numbers, one a line, that are imported at the start"
    )
    parser.add_argument(
        "--owned", type=Path, metavar="FILE", help="telephone numbers, one a line, that are Bandwidth's own"
    )
    settings = parser.add_argument_group("settings (all can be changed while it runs)")
    for item in dataclasses.fields(Settings):
        values = item.metadata["choices"]
        settings.add_argument(
            f"--{item.name.replace('_', '-')}",
            default=item.default,
            metavar=("," if item.metadata["several"] else "|").join(values) or _metavar(item.default),
            help=f"{item.metadata['help']} (default {_format_default(item.default)})",
        )
    return parser


def _format_default(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _default_sites() -> str:
    return ", ".join(f"{site}:{','.join(peers)}" for site, peers in DEFAULT_SITES.items())


def _metavar(default: object) -> str:
    if isinstance(default, bool):
        return "true|false"
    return "TEXT" if isinstance(default, str) else "NUMBER"


_DESCRIPTION: Final = """\
A Bandwidth Dashboard on this machine, for trying out and testing airflow-provider-bandwidth.

The first line on standard output is the Airflow connection as JSON, written when connections are accepted:
export it as AIRFLOW_CONN_BANDWIDTH_DEFAULT. It stops on Ctrl-C or SIGTERM with exit code 0. Nothing is kept on disk.
"""

_API: Final = """\
API
  Base URL: http://HOST:PORT, with /api, /api/v1, /v1.0 or nothing behind it for version 1, with /api/v2 for version 2,
  which writes and wants E.164 (+19195550101). Paths are read without case. Where Accept names application/json first,
  the answer is JSON without content.
  POST /api/v1/oauth2/token                                 client credentials; then Bearer, or Basic, everywhere
  POST /accounts/{account}/ORDERS                           201 with Location; 400
  GET  /accounts/{account}/ORDERS/{order}[/history]
  GET  /accounts/{account}/ORDERS                           newest first, at most 1,000
       Filters: status (repeatable), tn, customerOrderId, orderIdFragment, action, loaType, orderDetails,
       createdDateFrom, createdDateTo, modifiedDateFrom, modifiedDateTo (yyyy-MM-dd, UTC, inclusive), page, size.
       TotalCount counts all matches, also those beyond 1,000.
       ORDERS is externalTns, importTnOrders or removeImportedTnOrders; in version 2 importTnOrders/messaging or
       removeImportedTnOrders/messaging, which show the same orders as version 1. In both it may be tnoptions.
  POST, GET /accounts/{account}/importTnOrders[/messaging]/{order}/loas, GET, PUT, DELETE .../loas/{file}[/metadata]
       The body of POST is the file itself. What it is follows as metadata, or as documentType in query or header.
  POST /accounts/{account}/importTnChecker
  GET  /accounts/{account}/sites/{site}/sippeers/{peer}/tns, /totaltns; page (a cursor), size, includeAttributes
  GET  /accounts/{account}[/sites/{site}]/inserviceNumbers, /totals, /{number}
  GET  /accounts/{account}, /sites, /sites/{site}, /sites/{site}/sippeers, /sites/{site}/sippeers/{peer}
  GET  /accounts/{account}/sites/{site}/sippeers/{peer}/products/messaging/features/sms, .../applicationSettings
  GET  /accounts/{account}/applications[/{id}[/associatedsippeers]], /tns/{number}/tndetails
  GET  /api/v2/accounts/{account}/tendlc/phoneNumbers[/{number}], /tendlc/campaigns/{id}[/phoneNumbers]    JSON
  POST, GET /api/v2/users/{account}/messages                JSON; 202; the search wants at least one parameter
  GET, PUT, DELETE /api/v2/users/{account}/media[/{name}]
  POST /bulk/sendsms                                        International A2P: JSON with the credentials in it; 202, 420
  An account that does not exist is refused with 403 and code 1001, as one that the user may not use.

Orders
  RECEIVED, PROCESSING, then COMPLETE, PARTIAL (some numbers failed) or FAILED (all did), by the clock of the settings.
  Orders of all APIs work on the same numbers.
  externalTns: IMPORT puts numbers at the SIP peer; importing one again is no error, and counts as a reset. IMPORT of a
  number of Bandwidth's own gives 25060, of another account's 5124. REMOVE of a number never imported gives 5158, of
  Bandwidth's own 25120. Refused with 400: malformed XML 1019, Action 25000, LoaType 25110, customer order id 5052,
  SiteId missing 5022 or unknown 5016, SipPeerId unknown 5023, no numbers 5073, too many 5095, duplicates 5093,
  not NANP 7201, toll-free 5126.
  importTnOrders: a number of Bandwidth's own gives 19006, of another account's 19008. Refused with 400, all problems
  at once: customer order id 7318, site 7309, SIP peer 7311 or 7312, Subscriber 7104, its name 7105 or 25131, address
  7107, house number to ZIP 7108 to 7112, ZIP 7214, state 7395, LoaAuthorizingPerson 7115, LoaType 25110, no numbers
  7316, too many 7314, duplicates 7360, not NANP 7201, toll-free 7386, ten digits in version 2 1022.
  tnoptions: every campaign id is good, except CNOTFND 12189, CPENDNG 12192, CFOREGN 12128, CREFUSE 12220, and CFAILED,
  which is taken and never provisioned.
  removeImportedTnOrders: a number never imported, or Bandwidth's own, gives 5158, of another account's 5076.

Messages
  QUEUED, SENT, then DELIVERED or FAILED, by the clock of the settings. A text to +1 NPA 555 CODE fails with that
  delivery code (+12125554720); one to line 9902 gets no receipt and fails after two hours; all others arrive if their
  sender is a number of the account (else 4405, 4407), with SMS on (else 4403), on a campaign (else 4476; CFAILED 4476,
  CDORMNT 4773), and if the application is that of the setting (else 4452; with none, nothing ever happens). Callbacks
  go to the setting callback_url: message-sent or message-sending, then message-delivered or message-failed.
  International A2P: a receiver that ends in 5550 and a code is refused with it (442075550105; 500 is HTTP 500), in 5551
  and a code gets a receipt with it (442075551029); receipts go to dlrUrl, on this machine only.
"""


def _epilog(endpoints: Iterable[Endpoint]) -> str:
    return "\n".join((_API, _magic_help(), _fault_help(), _endpoint_help(endpoints)))


def _magic_help() -> str:
    lines = [
        "Magic telephone numbers",
        *_wrap(
            "Every valid number succeeds, except exchange 555 with these line numbers, in any area code "
            "(919 555 0001). Where an action is named, only that one fails. Other notes: 'order', the whole order "
            "ends FAILED with the code on every number; 'unnamed-...', the error names no number; 'refused', the POST "
            "is answered 400; 'checker', the code importTnChecker refuses the number with; 'transfer', the losing "
            "carrier is asked, POST /sandbox/orders/{order_id}/transfer answers, and 47 hours later it has denied.",
            "  ",
        ),
    ]
    for row in MAGIC_NUMBERS.values():
        notes = [] if row.effect is Effect.NUMBER else [str(row.effect)]
        if len(row.actions) == 1:
            notes.append(row.actions[0])
        if row.checker_code:
            notes.append(f"checker {row.checker_code}")
        codes = " ".join(code or "(none)" for code in row.codes) or "-"
        noted = f" [{', '.join(notes)}]" if notes else ""
        lines += _wrap(f"555-{row.line}: {codes}: {row.text()}{noted}", "  ", "      ")
    return "\n".join(lines) + "\n"


def _fault_help() -> str:
    lines = [
        "Faults",
        *_wrap(
            "On one request by its header X-Sandbox-Fault: name;option=value;option=value, name... or on coming "
            "requests by POST /sandbox/faults, aimed by operation, method and path (a part of it), after skipping "
            "'after' requests, 'times' times. Token requests are only hit if aimed at. 'when' is before or after the "
            "order is stored. Defaults are shown.",
            "  ",
        ),
    ]
    for name, kind in FAULT_KINDS.items():
        options = ";".join(f"{key}={value}" for key, value in kind.options.items())
        lines += _wrap(f"{name}{';' if options else ''}{options}: {kind.help}", "  ", "      ")
    lines += _wrap(f"Operations: {', '.join(OPERATIONS)}.", "  ")
    lines += ["  For instance:", *(f"    {text}" for text in _FAULT_EXAMPLES)]
    return "\n".join(lines) + "\n"


_FAULT_EXAMPLES: Final = (
    "stored, but the client never hears of it   drop;when=after on submit",
    "stored, but a proxy says 502               status;when=after;status=502 on submit",
    "stored long after the client gave up       slow;when=before;seconds=5 on submit",
    "stored, and the client can be killed now   hold;when=after on submit, until POST /sandbox/requests/release",
    "the same for removals only                 ... and path removeImportedTnOrders",
    "the search does not answer                 status;status=503 on list",
    "the search lags                            setting;search_lag_seconds=5 on list, or the setting for all",
    "the order id is lost or not echoed         setting;drop_customer_order_id=always on submit",
    "an order is not readable at once           setting;read_lag_seconds=5 on order",
)


def _endpoint_help(endpoints: Iterable[Endpoint]) -> str:
    lines = [
        "Pages and control endpoints (JSON, no credentials)",
        "  GET /: orders, numbers, requests and magic numbers, for people",
        "  GET /orders/{order_id} or /accounts/{account}/orders/{order_id}: one order, for people",
    ]
    for each in endpoints:
        lines += _wrap(f"{each.method} {each.path}: {each.purpose}", "  ", "      ")
    return "\n".join(lines)


def _wrap(text: str, first: str, others: str | None = None) -> list[str]:
    indent = first if others is None else others
    text = " ".join(text.split())
    return textwrap.wrap(text, 118, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
