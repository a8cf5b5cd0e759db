"""What an on-call engineer needs without a DAG: orders, numbers, tonight's plan, error codes, the sandbox.

``airflow bandwidth ...`` on Airflow 3.2 and later, ``python -m airflow_provider_bandwidth ...`` on every line. Airflow
asks for the commands whenever its command line starts: nothing that takes time is imported before a command runs.

Exit codes: 0 done; 1 the connection is wrong, or Bandwidth refused or did not answer, or a real run of the plan would
stop or fail; 2 wrong arguments or a wrong extract; 3 nothing found.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_provider_bandwidth.delivery_codes import MessageApi
from airflow_provider_bandwidth.exceptions import (
    BandwidthError,
    InvalidExtractError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.order_apis import ORDER_APIS, TN_OPTIONS

if TYPE_CHECKING:
    from airflow.cli.cli_config import GroupCommand

    from airflow_provider_bandwidth.delivery_codes import DeliveryCode
    from airflow_provider_bandwidth.error_codes import ErrorCode
    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
    from airflow_provider_bandwidth.orders import TnOrder

_EXIT_FAILED: Final = 1
_EXIT_USAGE: Final = 2
_EXIT_NOTHING_FOUND: Final = 3
#: Enough for two ids of up to 40 characters, a time, and the small columns.
_ORDER_LINE: Final = 170
#: ``error_codes.ALL_ORDERS``, which takes a while to import.
_ALL_ORDERS: Final = "orders"
#: The order APIs that codes are explained for.
_CODE_TABLES: Final = (*ORDER_APIS, TN_OPTIONS.name)


def get_cli_commands() -> list[GroupCommand]:
    """The commands, as Airflow wants them (``cli`` in the provider info)."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    output = Arg(("-o", "--output"), help="table or json (default: table)", choices=("table", "json"), default="table")
    conn_id = Arg(
        ("--conn-id",),
        help="Airflow connection of type bandwidth (default: bandwidth_default)",
        default="bandwidth_default",
    )
    account_id = Arg(("--account-id",), help="Bandwidth account (default: the connection's)")
    site_id = Arg(("--site-id",), help="SiteId (default: the connection's)")
    sip_peer_id = Arg(("--sip-peer-id",), help="SipPeerId (default: the connection's)")
    order_api = Arg(
        ("--order-api",), help="externalTns, importTnOrders or importTnOrders/messaging (default: the connection's)"
    )
    return [
        GroupCommand(
            name="bandwidth",
            help="Orders of hosted-messaging telephone numbers at Bandwidth",
            subcommands=(
                ActionCommand(
                    name="order",
                    help="Show an order, and why each number failed",
                    func=show_order,
                    args=(Arg(("order_id",), help="OrderId"), order_api, conn_id, account_id, output),
                ),
                ActionCommand(
                    name="orders",
                    help="List orders, newest first, at most 1,000",
                    func=list_orders,
                    args=(
                        Arg(("--customer-order-id",), help="orders with this CustomerOrderId"),
                        Arg(("--telephone-number",), help="orders with this number, in any usual notation"),
                        Arg(
                            ("--status",),
                            help="orders in this status: RECEIVED, PROCESSING, COMPLETE, PARTIAL or FAILED; "
                            "may be given several times",
                            action="append",
                        ),
                        order_api,
                        conn_id,
                        account_id,
                        output,
                    ),
                ),
                ActionCommand(
                    name="numbers",
                    help="List the numbers that orders imported to a SIP peer",
                    func=list_numbers,
                    args=(
                        site_id,
                        sip_peer_id,
                        order_api,
                        conn_id,
                        account_id,
                        Arg(
                            ("-o", "--output"),
                            help="table, json or csv (default: table)",
                            choices=("table", "json", "csv"),
                            default="table",
                        ),
                    ),
                ),
                ActionCommand(
                    name="plan",
                    help="Show what a number sync of an extract would do; nothing is sent",
                    func=show_plan,
                    args=(*_plan_arguments(), site_id, sip_peer_id, order_api, conn_id, account_id, output),
                ),
                ActionCommand(
                    name="doctor",
                    help="Say what a connection and its account lack, and whom to ask; nothing is sent",
                    func=run_doctor,
                    args=(
                        Arg(
                            ("--number",),
                            help="also what this telephone number lacks in order to text; may be given several times",
                            action="append",
                            default=[],
                        ),
                        site_id,
                        sip_peer_id,
                        order_api,
                        conn_id,
                        account_id,
                        output,
                    ),
                ),
                ActionCommand(
                    name="explain-error",
                    help="Say what an error code means and what to do; all codes if none is given",
                    func=explain_error,
                    args=(
                        Arg(("code",), help="Bandwidth's error code", nargs="?"),
                        Arg(
                            ("--api",),
                            help="whose code it is (default: all that know it): of all orders, of one order API, or "
                            "why a text message was not delivered",
                            choices=(_ALL_ORDERS, *_CODE_TABLES, *MessageApi),
                        ),
                        output,
                    ),
                ),
                ActionCommand(
                    name="sandbox",
                    help="Run the sandbox Dashboard; python -m airflow_provider_bandwidth.sandbox takes more options",
                    func=run_sandbox,
                    args=(Arg(("--port",), help="port, 0 for a free one (default: 8085)", type=int, default=8085),),
                ),
            ),
        )
    ]


def _plan_arguments() -> Iterator[Any]:
    """The sync's parameters of the same names, with the same defaults."""
    from airflow.cli.cli_config import Arg

    a_limit = "as a count (500) or a share (0.1)"
    yield Arg(("--extract",), help="a .csv, .jsonl or .parquet file, also s3://...", required=True, metavar="FILE")
    yield Arg(("--column",), help="the column with the telephone numbers", required=True, metavar="NAME")
    yield Arg(("--encoding",), help="the encoding of a text file (default: guessed)")
    yield Arg(("--html",), help="also write the report as a page for people", metavar="FILE")
    yield Arg(("--exclude",), help="a number to leave alone; may be given several times", action="append", default=[])
    yield Arg(("--remove-missing",), help="remove current numbers that are not desired", action="store_true")
    yield Arg(("--max-removals",), help=f"the most removals, {a_limit} of the current numbers", type=_count_or_share)
    yield Arg(
        ("--min-desired",), help=f"the fewest desired numbers, {a_limit} of the current ones", type=_count_or_share
    )
    yield Arg(("--max-imports",), help=f"the most imports, {a_limit} of the current numbers", type=_count_or_share)
    yield Arg(
        ("--max-unreadable",), help=f"the most unreadable values, {a_limit} of the desired ones", type=_count_or_share
    )
    yield Arg(("--max-errors",), help=f"the most errored numbers, {a_limit}", type=_count_or_share, default=0)
    yield Arg(("--first-load",), help="allow any number of imports", action="store_true")
    yield Arg(("--chunk-size",), help="the most numbers in one order", type=int)
    yield Arg(("--resend-errors-after",), help="days after which a refused number is sent again", type=int)
    yield Arg(("--campaign-id",), help="the campaign that imported numbers are assigned to (default: to none)")


def _count_or_share(text: str) -> float:
    """A limit, as in Python: ``1`` is one telephone number and ``1.0`` is all of them."""
    return int(text) if text.isdecimal() else float(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``python -m airflow_provider_bandwidth``.

    :param arguments: the command line; ``sys.argv`` by default
    """
    (group,) = get_cli_commands()
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_bandwidth", description=group.help)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in group.subcommands:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help)
        for argument in command.args:
            argument.add_to_parser(subparser)
        subparser.set_defaults(func=command.func)
    options = parser.parse_args(arguments)
    options.func(options)


def show_order(args: argparse.Namespace) -> None:
    """Print one order, with the errors of its numbers."""
    from airflow_provider_bandwidth.error_codes import explain_error_code

    with _hook(args) as hook:
        order = hook.get_tn_order(args.order_id)
    if args.output == "json":
        _print_json(order.to_dict())
        return
    _print_table([{"field": name, "value": value} for name, value in _summarise(order).items()])
    if not order.errors:
        return
    rows = []
    for error in order.errors:
        known = explain_error_code(error.code, order.order_api)
        rows.append(
            {
                "telephone_number": error.telephone_number or "(none named)",
                "code": error.code,
                "description": error.description,
                "advice": known.advice if known else "read the text",
            }
        )
    _print_table(rows)


def list_orders(args: argparse.Namespace) -> None:
    """Print the orders that match every filter given."""
    with _hook(args) as hook:
        orders = hook.list_tn_orders(
            customer_order_id=args.customer_order_id, telephone_number=args.telephone_number, status=args.status
        )
    if args.output == "json":
        _print_json([order.to_dict() for order in orders])
    elif orders:
        # JSON has the rest. In a narrow terminal the lines run on, so that ids stay in one piece.
        shown = ("order_id", "created_at", "customer_order_id", "status", "action", "numbers", "errors")
        _print_table([{name: row[name] for name in shown} for row in map(_summarise, orders)], width=_ORDER_LINE)
    if not orders:
        _fail("No order matches.", _EXIT_NOTHING_FOUND)


def list_numbers(args: argparse.Namespace) -> None:
    """Print the imported numbers of a SIP peer as they come, page by page."""
    with _hook(args) as hook:
        numbers = hook.iter_external_telephone_numbers(args.site_id, args.sip_peer_id)
        try:
            count = _print_json_stream(numbers) if args.output == "json" else _print_lines(numbers)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has had enough, as head has
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
    if not count:
        _fail("No number was imported to this SIP peer.", _EXIT_NOTHING_FOUND)


def _print_lines(numbers: Iterator[str]) -> int:
    count = 0
    for count, number in enumerate(numbers, 1):
        sys.stdout.write(f"telephone_number\n{number}\n" if count == 1 else f"{number}\n")
    if not count:
        sys.stdout.write("telephone_number\n")
    return count


def _print_json_stream(numbers: Iterator[str]) -> int:
    count = 0
    for count, number in enumerate(numbers, 1):
        sys.stdout.write(f"{'[' if count == 1 else ','}\n  {json.dumps(number)}")
    sys.stdout.write("\n]\n" if count else "[]\n")
    return count


def show_plan(args: argparse.Namespace) -> None:
    """Print what a sync of an extract would do now."""
    with _hook(args) as hook:
        from airflow_provider_bandwidth.hooks.extract import read_telephone_number_column
        from airflow_provider_bandwidth.number_sync.handover import DEFAULT_ORDERS_PER_TASK, NUMBERS_PER_XCOM
        from airflow_provider_bandwidth.operators._dry_run import make_dry_run
        from airflow_provider_bandwidth.operators._peer_reader import PeerReader
        from airflow_provider_bandwidth.operators._planning import PlanRequest
        from airflow_provider_bandwidth.operators._sync_report import find_free, open_report
        from airflow_provider_bandwidth.operators.number_sync import DEFAULT_CHUNK_SIZE, DEFAULT_RESEND_ERRORS_AFTER
        from airflow_provider_bandwidth.orders import parse_campaign_id

        limits = ("max_removals", "min_desired", "max_imports", "max_unreadable")
        request = PlanRequest(
            desired=read_telephone_number_column(_absolute(args.extract), args.column, encoding=args.encoding),
            excluded=args.exclude,
            remove_missing=args.remove_missing,
            limits={name: getattr(args, name) for name in limits if getattr(args, name) is not None},
            first_load=args.first_load,
            chunk_size=DEFAULT_CHUNK_SIZE if args.chunk_size is None else args.chunk_size,
            orders_per_task=DEFAULT_ORDERS_PER_TASK,
            preflight=False,
            resend_errors_after=(
                DEFAULT_RESEND_ERRORS_AFTER if args.resend_errors_after is None else args.resend_errors_after
            ),
            ignore_error_codes=(),
            loa_type=None,
            campaign_id=None if args.campaign_id is None else parse_campaign_id(args.campaign_id),
        )
        if not 1 <= request.chunk_size <= NUMBERS_PER_XCOM:
            raise InvalidParameterError("--chunk-size", f"expected 1 to {NUMBERS_PER_XCOM}, got {request.chunk_size}")
        site_id, sip_peer_id = hook.resolve_site_id(args.site_id), hook.resolve_sip_peer_id(args.sip_peer_id)
        if sip_peer_id is None:
            raise InvalidParameterError("SipPeerId", "give --sip-peer-id, or set the connection's extra.sip_peer_id")
        found = make_dry_run(PeerReader(hook, site_id, sip_peer_id, _Warnings), request, args.max_errors, _Warnings)
        if args.html is not None:
            path = find_free(_absolute(args.html))
            with open_report(path) as text:
                text.write(found.page.render())
            sys.stderr.write(f"The page is {path}.\n")
    if args.output == "json":
        _print_json(
            {
                **found.page.tally.counts(),
                "current": found.plan.counts["current"],
                "error_counts": found.page.tally.error_counts(),
                "orders": found.plan.order_count,
                "verdict": found.verdict,
                "unsafe": list(found.plan.findings),
                "problems": list(found.problems),
            }
        )
    else:
        sys.stdout.write(f"{found.render()}\n")
    if found.plan.unsafe or found.problems:
        raise SystemExit(_EXIT_FAILED)


def _absolute(path: str) -> str:
    """Airflow 2.11 does not look for a relative path in the working directory."""
    return path if "://" in path else str(Path(path).absolute())


class _Warnings:
    """A log whose warnings a person sees."""

    @staticmethod
    def info(text: str, *values: Any) -> None:
        """Not shown: the report has the figures."""

    @staticmethod
    def warning(text: str, *values: Any) -> None:
        sys.stderr.write(f"{text % values}\n")


def run_doctor(args: argparse.Namespace) -> None:
    """Print what is fine and what is missing, a line each, as it is found."""
    from airflow_provider_bandwidth.doctor import examine

    findings = []
    with _hook(args) as hook:
        for finding in examine(hook, args.site_id, args.sip_peer_id, args.number):
            findings.append(finding)
            if args.output == "table":
                ask = f" -- ask {finding.ask}" if finding.ask else ""
                sys.stdout.write(f"{finding.state:8} {finding.subject}: {finding.text}{ask}\n")
                sys.stdout.flush()
    if args.output == "json":
        _print_json([finding.to_dict() for finding in findings])
    if any(finding.is_in_the_way for finding in findings):
        raise SystemExit(_EXIT_FAILED)


def explain_error(args: argparse.Namespace) -> None:
    """Print what a code means and what to do about it, or all codes: of one API, or of all."""
    apis = (_ALL_ORDERS, *MessageApi) if args.api is None else (args.api,)
    codes = [known for api in apis for known in _find_codes(api, args.code, in_full=args.api is not None)]
    if not codes:
        _fail(
            f"Nothing is known of code {args.code!r}: go by the text that came with it, then ask Bandwidth.",
            _EXIT_NOTHING_FOUND,
        )
    if args.output == "json":
        _print_json(codes)
        return
    for columns in dict.fromkeys(tuple(code) for code in codes):
        _print_table([code for code in codes if tuple(code) == columns])


def _find_codes(api: str, code: str | None, *, in_full: bool) -> list[dict[str, Any]]:
    """What an API's table says of a code, or all that it says.

    :param in_full: also what the digits alone of a code say that is not in the table
    """
    from airflow_provider_bandwidth.delivery_codes import DELIVERY_CODES, explain_delivery_code
    from airflow_provider_bandwidth.error_codes import list_error_codes

    known: list[ErrorCode | DeliveryCode]
    if api in (_ALL_ORDERS, *_CODE_TABLES):
        known = list(list_error_codes(api))
    else:
        known = list(DELIVERY_CODES[MessageApi(api)].values())
    if code is not None:
        known = [each for each in known if each.code == code.strip()]
        if not known and in_full and api == MessageApi.MESSAGING and (guess := explain_delivery_code(code)):
            known = [guess]
    return [each.to_dict() for each in known]


def run_sandbox(args: argparse.Namespace) -> None:
    """Run the sandbox until it is told to stop."""
    from airflow_provider_bandwidth.sandbox.cli import main as run

    raise SystemExit(run(["--port", str(args.port)]))


@contextmanager
def _hook(args: argparse.Namespace) -> Iterator[BandwidthHook]:
    """A hook whose errors end the command with one line."""
    # As Airflow's own commands do: without it Airflow 3.2 and later do not look for connections in the database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"

    from airflow.models.connection import Connection

    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook

    class Hook(BandwidthHook):
        @classmethod
        def get_connection(cls, conn_id: str) -> Any:
            # The task SDK's way to a connection needs a running task.
            return Connection.get_connection_from_secrets(conn_id)

        @property
        def log(self) -> Any:
            # A hook's own log is on standard output, where the answer belongs: here it is one that is turned off.
            return logging.getLogger(__name__)

    hook = Hook(args.conn_id, args.account_id, args.order_api, max_attempts=2)
    logging.disable(logging.ERROR)
    try:
        yield hook
    except OrderNotFoundError as error:
        _fail(str(error), _EXIT_NOTHING_FOUND)
    except (InvalidParameterError, InvalidTelephoneNumbersError, InvalidExtractError) as error:
        _fail(str(error), _EXIT_USAGE)
    except BandwidthError as error:
        _fail(str(error), _EXIT_FAILED)
    finally:
        logging.disable(logging.NOTSET)
        hook.close()


def _summarise(order: TnOrder) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "status": order.processing_status,
        "action": order.action or "",
        "order_api": order.order_api,
        "customer_order_id": order.customer_order_id or "",
        "site_id": order.site_id or "",
        "sip_peer_id": order.sip_peer_id or "",
        "numbers": len(order.telephone_numbers),
        "completed": len(order.completed_telephone_numbers),
        "errors": len(order.errors),
        "created_at": "" if order.created_at is None else order.created_at.isoformat(timespec="seconds"),
    }


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _print_table(rows: list[dict[str, Any]], width: int | None = None) -> None:
    """Print rows of the same keys as a table.

    :param width: characters a line may have; the terminal's by default
    """
    from airflow.cli.simple_table import AirflowConsole

    AirflowConsole(width=width).print_as_table(rows)


def _fail(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(exit_code)
