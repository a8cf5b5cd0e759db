"""What differs between Bandwidth's order APIs: a row for each. Pure: no Airflow, no XML, no I/O.

An order API is one resource for all orders, or one for imports and one for removals. Whatever differs by API is asked
of a row here, or of a request in :mod:`~airflow_provider_bandwidth.orders`, which names its row. A key in brackets,
such as ``[oas2]``, names the source of a fact: ``docs/development/bandwidth-api.md`` has them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.order_records import (
    DEFAULT_ORDER_API,
    OPEN_STATUSES,
    TERMINAL_STATUSES,
    Action,
    LoaType,
    ProcessingStatus,
)


@dataclass(frozen=True, slots=True)
class OrderResource:
    """One of Bandwidth's resources for orders: where it is, and how it names and writes things.

    :param order_api: the name of the API that it belongs to
    :param path: below ``/accounts/{accountId}/``
    :param order: the element of an order, in requests and answers
    :param orders: the root element of a list
    :param action: what all of its orders do; ``None`` where each says so itself
    :param api_version: ``v1`` or ``v2``: under which base URL it is
    :param is_e164: whether it writes telephone numbers as ``+19195550101``, not as ten digits
    :param customer_order_id_elements: the names that its CustomerOrderId element may have; the first by default
    :param listed_statuses: the statuses by which its lists can be narrowed
    :param lists_whole_orders: whether a list shows whole orders when asked to (``orderDetails`` [iris20]); otherwise
        summaries, which have no numbers
    :param empty_list_statuses: HTTP statuses of an answer without content that means "no order matches"
    :param numbers_below: the elements, each inside the one before, that hold the telephone numbers and what is asked
        for them; none where the order itself holds them
    :param unknown_order_codes: error codes of a 400 that means "no such order"; a 404 means it everywhere
    :param takes_loa_files: whether letters of authorization can be uploaded to its orders
    """

    order_api: str
    path: str
    order: str
    orders: str
    action: Action | None = None
    api_version: str = "v1"
    is_e164: bool = False
    customer_order_id_elements: tuple[str, ...] = ("CustomerOrderId",)
    listed_statuses: tuple[ProcessingStatus, ...] = (*OPEN_STATUSES, *TERMINAL_STATUSES)
    lists_whole_orders: bool = False
    #: An empty list of these resources is documented nowhere; elsewhere in the API it is each of the three [oas1].
    empty_list_statuses: tuple[int, ...] = (200, 204, 404)
    unknown_order_codes: tuple[str, ...] = ("1008",)
    numbers_below: tuple[str, ...] = ()
    takes_loa_files: bool = False

    @property
    def advice_on_lost_ids(self) -> str:
        """What to do if Bandwidth does not keep the CustomerOrderId of orders."""
        *_, last = self.customer_order_id_elements
        if len(self.customer_order_id_elements) == 1:
            return f"It was sent as {last}, the only element that {self.order_api} has for it: ask Bandwidth's support."
        return f"Set the connection's customer_order_id_element to {last}; if it is that, ask Bandwidth's support."


@dataclass(frozen=True, slots=True)
class OrderApi:
    """One of Bandwidth's order APIs.

    :param name: as the connection's ``order_api`` has it
    :param imports: the resource that takes IMPORT orders
    :param removals: the resource that takes REMOVE orders; the same where an order says what it does
    :param loa_type: LoaType of an import that names none; ``None`` if it is left out, which Bandwidth reads as CARRIER
    :param longest_wait: seconds that its orders are waited for, unless the caller says how long
    :param may_need_confirmation: whether another customer of Bandwidth may have to confirm its orders, within two days
    """

    name: str
    imports: OrderResource
    removals: OrderResource
    loa_type: LoaType | None = None
    longest_wait: float = float("inf")
    may_need_confirmation: bool = True

    @property
    def resources(self) -> tuple[OrderResource, ...]:
        """Each resource once."""
        return tuple(dict.fromkeys((self.imports, self.removals)))

    def resource_for(self, action: Action | None) -> OrderResource:
        """The resource that takes orders of this action; ``None`` for an order that neither imports nor removes."""
        return self.removals if action is Action.REMOVE else self.imports


_EXTERNAL_TNS: Final = OrderResource(
    order_api=DEFAULT_ORDER_API,
    path="externalTns",
    order="ExternalTnsOrder",
    orders="ExternalTnsOrders",
    customer_order_id_elements=("CustomerOrderID", "CustomerOrderId"),
    lists_whole_orders=True,
    empty_list_statuses=(204, 404),
    unknown_order_codes=(),
)
_IMPORTS: Final = OrderResource(
    order_api="importTnOrders",
    path="importTnOrders",
    order="ImportTnOrder",
    orders="ImportTnOrders",
    action=Action.IMPORT,
    takes_loa_files=True,
)
_REMOVALS: Final = OrderResource(
    order_api="importTnOrders",
    path="removeImportedTnOrders",
    order="RemoveImportedTnOrder",
    orders="RemoveImportedTnOrders",
    action=Action.REMOVE,
    # RECEIVED is missing from the documented values, although orders have it [oas1] [nodefix].
    listed_statuses=(ProcessingStatus.PROCESSING, *TERMINAL_STATUSES),
)


def _on_v2(resource: OrderResource) -> OrderResource:
    """The same resource in its second form, which differs in place and notation only [oas2]."""
    return replace(
        resource,
        order_api="importTnOrders/messaging",
        path=f"{resource.path}/messaging",
        api_version="v2",
        is_e164=True,
        listed_statuses=(ProcessingStatus.PROCESSING, *TERMINAL_STATUSES),
    )


#: In seconds. Another customer of Bandwidth may take 48 hours to confirm the transfer of a number's messaging [mtc].
_TRANSFER_WAIT: Final = 72 * 3600.0

#: The rows, by the name that the connection's ``order_api`` has.
ORDER_APIS: Final = MappingProxyType(
    {
        api.name: api
        for api in (
            OrderApi(DEFAULT_ORDER_API, _EXTERNAL_TNS, _EXTERNAL_TNS),
            OrderApi("importTnOrders", _IMPORTS, _REMOVALS, LoaType.SUBSCRIBER, _TRANSFER_WAIT),
            OrderApi(
                "importTnOrders/messaging",
                _on_v2(_IMPORTS),
                _on_v2(_REMOVALS),
                LoaType.SUBSCRIBER,
                _TRANSFER_WAIT,
            ),
        )
    }
)


_TN_OPTIONS: Final = OrderResource(
    order_api="tnoptions",
    path="tnoptions",
    order="TnOptionOrder",
    orders="TnOptionOrders",
    # v1 has it, too; Bandwidth's own command line uses this form [cli].
    api_version="v2",
    is_e164=True,
    lists_whole_orders=True,
    unknown_order_codes=(),
    numbers_below=("TnOptionGroups", "TnOptionGroup"),
)
#: Orders that set options of numbers, such as their campaign. Every account has them beside its order API for numbers.
TN_OPTIONS: Final = OrderApi("tnoptions", _TN_OPTIONS, _TN_OPTIONS, may_need_confirmation=False)


def parse_order_api(value: object, name: str = "order_api", *, also: tuple[OrderApi, ...] = ()) -> OrderApi:
    """The row of that name, in any case.

    :param name: the field, for the error
    :param also: rows that are taken beside those that a connection may name
    :raises InvalidParameterError: there is none
    """
    wanted = str(value).strip().lower()
    apis = (*ORDER_APIS.values(), *also)
    for api in apis:
        if api.name.lower() == wanted:
            return api
    raise InvalidParameterError(name, f"expected {', '.join(each.name for each in apis)}, got {value!r}")
