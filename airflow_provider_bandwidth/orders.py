"""What is asked of Bandwidth: an order to submit, its CustomerOrderId, and the fields it is made of.

Pure: no Airflow, no XML, no I/O. There is a request for each resource that takes orders (:mod:`.order_apis`), made of
fields (:mod:`.order_fields`). What Bandwidth shows of an order is in :mod:`.order_records`. The names of both can be
imported from here, too. A key in brackets, such as ``[seed]``, names the source of a fact about Bandwidth:
``docs/development/bandwidth-api.md`` has them all.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Final

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.order_apis import ORDER_APIS, TN_OPTIONS, OrderApi, OrderResource, parse_order_api
from airflow_provider_bandwidth.order_fields import (
    ServiceAddress,
    Subscriber,
    check_fields,
    normalize_telephone_number,
    parse_choice,
    parse_flag,
    parse_id,
    parse_order_id,
    parse_telephone_numbers,
    parse_text,
    parse_time,
    unless_none,
    validate_customer_order_id,
)
from airflow_provider_bandwidth.order_records import (
    DEFAULT_ORDER_API,
    MAX_LISTED_ORDERS,
    OPEN_STATUSES,
    TEN_DIGITS,
    TERMINAL_STATUSES,
    Action,
    LoaType,
    OrderOutcome,
    ProcessingStatus,
    TelephoneNumberError,
    TelephoneNumberWarning,
    TnOrder,
    can_be_one_order,
    judge_order,
    newest_first,
    parse_known,
    record_to_dict,
    unaccounted_telephone_numbers,
)

__all__ = [
    "MAX_LISTED_ORDERS",
    "OPEN_STATUSES",
    "TEN_DIGITS",
    "TERMINAL_STATUSES",
    "Action",
    "CampaignAssignmentRequest",
    "ExternalTnsOrderRequest",
    "ImportTnOrderRequest",
    "LoaType",
    "OrderOutcome",
    "ProcessingStatus",
    "RemoveImportedTnOrderRequest",
    "ServiceAddress",
    "Subscriber",
    "TelephoneNumberError",
    "TelephoneNumberWarning",
    "TnOrder",
    "TnOrderRequest",
    "build_order_request",
    "can_be_one_order",
    "derive_customer_order_id",
    "judge_order",
    "newest_first",
    "normalize_telephone_number",
    "parse_campaign_id",
    "parse_choice",
    "parse_flag",
    "parse_id",
    "parse_known",
    "parse_order_id",
    "parse_telephone_numbers",
    "parse_time",
    "unaccounted_telephone_numbers",
    "validate_customer_order_id",
]

#: Prefix plus 32 hex digits: exactly the 40 characters Bandwidth allows.
_CUSTOMER_ORDER_ID_PREFIX: Final = "airflow-"


def _new_customer_order_id() -> str:
    return f"{_CUSTOMER_ORDER_ID_PREFIX}{uuid.uuid4().hex}"


def derive_customer_order_id(
    *,
    dag_id: str,
    task_id: str,
    run_id: str,
    account_id: str,
    request: TnOrderRequest,
) -> str:
    """The CustomerOrderId of this request in this task of this DAG run: the same for every attempt.

    It depends on the order's content (account, site, peer, action, LOA type, the set of numbers), so that two contents
    never share an id. It depends neither on try number and map index nor on subscriber and signer, so that a retry
    finds what an earlier try sent, also after subscriber or signer was corrected.

    :return: 40 characters that Bandwidth accepts: ``airflow-`` and 32 hex digits of a SHA-256
    """
    identity = [dag_id, task_id, run_id, account_id, *request.identity()]
    digest = hashlib.sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()
    return f"{_CUSTOMER_ORDER_ID_PREFIX}{digest[:32]}"


# --- requests ---


_NUMBERS_CHECK: Final = ("TelephoneNumbers", parse_telephone_numbers)
_SITE_CHECK: Final = ("SiteId", lambda value: parse_id("SiteId", value))
_SIP_PEER_CHECK: Final = ("SipPeerId", unless_none(lambda value: parse_id("SipPeerId", value)))
_LOA_TYPE_CHECK: Final = ("LoaType", unless_none(lambda value: parse_choice("LoaType", LoaType, value)))
_CUSTOMER_ORDER_ID_CHECK: Final = ("CustomerOrderId", validate_customer_order_id)
#: What may be done with the A2P settings of a number [oas1].
_A2P_ACTIONS: Final = ("asSpecified", "systemDefault", "off", "delete", "unchanged")


def _find_difference(request: TnOrderRequest, order: TnOrder, **asked_for: object) -> str | None:
    """How an order differs from a request, in words; ``None`` if it asks for the same.

    What the order does not show, or the request leaves to Bandwidth, is no difference. A PARTIAL order may not list
    numbers that failed ([oas1] list samples), so fewer numbers are no difference there.

    :param asked_for: what the request asks for beside action and numbers, by the order's attributes
    """
    if order.action != request.action:
        return f"its Action is {order.action}, not {request.action}"
    for attribute, requested_value in asked_for.items():
        shown_value = getattr(order, attribute)
        is_shown = None not in (shown_value, requested_value)
        if is_shown and str(shown_value).upper() != str(requested_value).upper():
            return f"its {_BANDWIDTH_NAMES[attribute]} is {shown_value}, not {requested_value}"
    shown = order.mentioned_telephone_numbers
    requested = set(request.telephone_numbers)
    if foreign := shown - requested:
        return f"it holds {len(foreign)} telephone number{'s' * (len(foreign) > 1)} that the request does not"
    missing = requested - shown
    if missing and order.processing_status != ProcessingStatus.PARTIAL:
        return f"it lacks {len(missing)} telephone number{'s' * (len(missing) > 1)} of the request"
    return None


def _parse_api_with(request: TnOrderRequest, value: object) -> OrderApi:
    """The order API of that name, if it takes requests of this kind."""
    api = parse_order_api(value)
    order = api.resource_for(request.action).order
    if not isinstance(request, _REQUESTS[order]):
        raise InvalidParameterError("order_api", f"{api.name} takes {order}s, which this is not: use {order}Request")
    return api


_BANDWIDTH_NAMES: Final = {
    "site_id": "SiteId",
    "sip_peer_id": "SipPeerId",
    "loa_type": "LoaType",
    "campaign_id": "CampaignId",
    "message_class": "MessageClass",
    "a2p_action": "A2pSettings Action",
}


@dataclass(frozen=True, slots=True)
class ExternalTnsOrderRequest:
    """An order to submit through externalTns, checked and normalised when it is made.

    :param action: IMPORT or REMOVE, in any case
    :param telephone_numbers: NANP numbers in any usual notation; kept as ten digits, first-seen order, no duplicates
    :param site_id: SiteId, a positive number
    :param sip_peer_id: SipPeerId; the site's default peer if ``None``
    :param loa_type: CARRIER or SUBSCRIBER; Bandwidth's default (CARRIER) if ``None``
    :param customer_order_id: your id for the order, 1 to 40 letters, digits, dashes and inner spaces. By default a
        new random one for each request object: submitting the *same object* again finds the first order, while an equal
        request that is made anew is another order. The operator derives the id from the task run instead.
    :raises InvalidParameterError: names each field that is wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """

    action: Action
    telephone_numbers: tuple[str, ...]
    site_id: int
    sip_peer_id: int | None = None
    loa_type: LoaType | None = None
    customer_order_id: str = field(default_factory=_new_customer_order_id)

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "action": ("Action", lambda value: parse_choice("Action", Action, value)),
                "telephone_numbers": _NUMBERS_CHECK,
                "site_id": _SITE_CHECK,
                "sip_peer_id": _SIP_PEER_CHECK,
                "loa_type": _LOA_TYPE_CHECK,
                "customer_order_id": _CUSTOMER_ORDER_ID_CHECK,
            },
        )

    @property
    def resource(self) -> OrderResource:
        """The row of the order APIs that this request is for."""
        return ORDER_APIS[DEFAULT_ORDER_API].resource_for(self.action)

    def elements(self) -> tuple[tuple[str, object], ...]:
        """What is sent beside CustomerOrderId and telephone numbers: names and values, in the seed's order."""
        return (
            ("SiteId", self.site_id),
            ("SipPeerId", self.sip_peer_id),
            ("Action", self.action),
            ("LoaType", self.loa_type),
        )

    def identity(self) -> tuple[Any, ...]:
        """The values that make it another order: all but its CustomerOrderId and the sequence of the numbers."""
        return (self.site_id, self.sip_peer_id, self.action, self.loa_type, sorted(self.telephone_numbers))

    def difference(self, order: TnOrder) -> str | None:
        """How an order differs from this request, in words; ``None`` if it asks for the same."""
        return _find_difference(self, order, site_id=self.site_id, sip_peer_id=self.sip_peer_id, loa_type=self.loa_type)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars and lists."""
        return record_to_dict(self)


@dataclass(frozen=True, slots=True)
class ImportTnOrderRequest:
    """An import to submit through importTnOrders, checked and normalised when it is made.

    :param telephone_numbers: NANP numbers in any usual notation; kept as ten digits, first-seen order, no duplicates
    :param site_id: SiteId, a positive number
    :param subscriber: who uses the numbers: a :class:`Subscriber`, or a mapping or JSON text of one
    :param loa_authorizing_person: who signed the letter of authorization: first and last name
    :param sip_peer_id: SipPeerId; the site's default peer if ``None``
    :param loa_type: CARRIER or SUBSCRIBER; SUBSCRIBER, Bandwidth's default here, if ``None``. It is always sent [oas2]
    :param order_api: ``importTnOrders``, or ``importTnOrders/messaging`` for its form in v2
    :param customer_order_id: as for :class:`ExternalTnsOrderRequest`
    :raises InvalidParameterError: names each field that is missing or wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """

    telephone_numbers: tuple[str, ...]
    site_id: int
    subscriber: Subscriber
    loa_authorizing_person: str
    sip_peer_id: int | None = None
    loa_type: LoaType | None = None
    order_api: str = "importTnOrders"
    customer_order_id: str = field(default_factory=_new_customer_order_id)
    action: ClassVar[Action] = Action.IMPORT

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "order_api": ("order_api", lambda value: _parse_api_with(self, value).name),
                "telephone_numbers": _NUMBERS_CHECK,
                "site_id": _SITE_CHECK,
                "sip_peer_id": _SIP_PEER_CHECK,
                "subscriber": ("Subscriber", Subscriber.parse),
                "loa_authorizing_person": ("LoaAuthorizingPerson", parse_text("LoaAuthorizingPerson")),
                "loa_type": _LOA_TYPE_CHECK,
                "customer_order_id": _CUSTOMER_ORDER_ID_CHECK,
            },
        )
        if self.loa_type is None:
            object.__setattr__(self, "loa_type", ORDER_APIS[self.order_api].loa_type)

    @property
    def resource(self) -> OrderResource:
        """The row of the order APIs that this request is for."""
        return ORDER_APIS[self.order_api].imports

    def elements(self) -> tuple[tuple[str, object], ...]:
        """What is sent beside CustomerOrderId and telephone numbers: names and values, in the documented order."""
        return (
            ("SiteId", self.site_id),
            ("SipPeerId", self.sip_peer_id),
            ("Subscriber", self.subscriber.elements()),
            ("LoaAuthorizingPerson", self.loa_authorizing_person),
            ("LoaType", self.loa_type),
        )

    def identity(self) -> tuple[Any, ...]:
        """The values that make it another order, the same through v1 and v2; not subscriber and signer."""
        return (
            "importTnOrders",
            self.site_id,
            self.sip_peer_id,
            self.action,
            self.loa_type,
            sorted(self.telephone_numbers),
        )

    def difference(self, order: TnOrder) -> str | None:
        """How an order differs from this request, in words; ``None`` if it asks for the same.

        Bandwidth adds to an address what was not sent [nodefix], so the subscriber is not compared.
        """
        return _find_difference(self, order, site_id=self.site_id, sip_peer_id=self.sip_peer_id, loa_type=self.loa_type)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars, lists and dicts."""
        return {**record_to_dict(self), "subscriber": self.subscriber.to_dict()}


@dataclass(frozen=True, slots=True)
class RemoveImportedTnOrderRequest:
    """A removal to submit through removeImportedTnOrders, checked and normalised when it is made.

    Bandwidth takes nothing but the numbers: they are removed from wherever they are in the account [oas1].

    :param telephone_numbers: NANP numbers in any usual notation; kept as ten digits, first-seen order, no duplicates
    :param order_api: ``importTnOrders``, or ``importTnOrders/messaging`` for its form in v2
    :param customer_order_id: as for :class:`ExternalTnsOrderRequest`
    :raises InvalidParameterError: names each field that is missing or wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """

    telephone_numbers: tuple[str, ...]
    order_api: str = "importTnOrders"
    customer_order_id: str = field(default_factory=_new_customer_order_id)
    action: ClassVar[Action] = Action.REMOVE

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "order_api": ("order_api", lambda value: _parse_api_with(self, value).name),
                "telephone_numbers": _NUMBERS_CHECK,
                "customer_order_id": _CUSTOMER_ORDER_ID_CHECK,
            },
        )

    @property
    def resource(self) -> OrderResource:
        """The row of the order APIs that this request is for."""
        return ORDER_APIS[self.order_api].removals

    def elements(self) -> tuple[tuple[str, object], ...]:
        """Nothing is sent beside CustomerOrderId and telephone numbers."""
        return ()

    def identity(self) -> tuple[Any, ...]:
        """The values that make it another order, the same through v1 and v2."""
        return ("removeImportedTnOrders", self.action, sorted(self.telephone_numbers))

    def difference(self, order: TnOrder) -> str | None:
        """How an order differs from this request, in words; ``None`` if it asks for the same."""
        return _find_difference(self, order)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars and lists."""
        return record_to_dict(self)


@dataclass(frozen=True, slots=True)
class CampaignAssignmentRequest:
    """An order that assigns telephone numbers to a campaign (``tnoptions``), checked and normalised when it is made.

    :param telephone_numbers: NANP numbers in any usual notation; kept as ten digits, first-seen order, no duplicates
    :param campaign_id: CampaignId, at most 64 characters; needed for ``asSpecified``, and for nothing else
    :param message_class: MessageClass; left out if ``None``
    :param a2p_action: ``asSpecified``, ``systemDefault``, ``off``, ``delete`` or ``unchanged`` [oas1]
    :param customer_order_id: as for :class:`ExternalTnsOrderRequest`
    :raises InvalidParameterError: names each field that is missing or wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """

    telephone_numbers: tuple[str, ...]
    campaign_id: str | None = None
    message_class: str | None = None
    a2p_action: str = "asSpecified"
    customer_order_id: str = field(default_factory=_new_customer_order_id)
    action: ClassVar[Action | None] = None

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "telephone_numbers": _NUMBERS_CHECK,
                "a2p_action": ("Action", _parse_a2p_action),
                "campaign_id": ("CampaignId", unless_none(parse_campaign_id)),
                "message_class": ("MessageClass", unless_none(parse_text("MessageClass"))),
                "customer_order_id": _CUSTOMER_ORDER_ID_CHECK,
            },
        )
        if (self.a2p_action == "asSpecified") != (self.campaign_id is not None):
            raise InvalidParameterError("CampaignId", "give it with the action asSpecified, and with no other")

    @property
    def resource(self) -> OrderResource:
        """The row of the order APIs that this request is for."""
        return TN_OPTIONS.imports

    def elements(self) -> tuple[tuple[str, object], ...]:
        """What is sent beside CustomerOrderId and telephone numbers: names and values, in the documented order."""
        settings = (
            ("MessageClass", self.message_class),
            ("CampaignId", self.campaign_id),
            ("Action", self.a2p_action),
        )
        # Bandwidth refuses a campaign for a number whose SMS is off (5132).
        return (("Sms", "on" if self.campaign_id else None), ("A2pSettings", settings))

    def identity(self) -> tuple[Any, ...]:
        """The values that make it another order."""
        return ("tnoptions", self.a2p_action, self.campaign_id, self.message_class, sorted(self.telephone_numbers))

    def difference(self, order: TnOrder) -> str | None:
        """How an order differs from this request, in words; ``None`` if it asks for the same."""
        return _find_difference(
            self, order, campaign_id=self.campaign_id, message_class=self.message_class, a2p_action=self.a2p_action
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars and lists."""
        return record_to_dict(self)


def parse_campaign_id(value: object) -> str:
    """A CampaignId without white space around it.

    :raises InvalidParameterError: it is none
    """
    text = str(value).strip()
    if not re.fullmatch(r"[!-~]{1,64}", text, re.ASCII) or text in ("None", "null"):
        raise InvalidParameterError("CampaignId", f"expected 1 to 64 characters without blanks, got {value!r}")
    return text


def _parse_a2p_action(value: object) -> str:
    for action in _A2P_ACTIONS:
        if str(value).strip().lower() == action.lower():
            return action
    raise InvalidParameterError("Action", f"expected {', '.join(_A2P_ACTIONS)}, got {value!r}")


TnOrderRequest = (
    ExternalTnsOrderRequest | ImportTnOrderRequest | RemoveImportedTnOrderRequest | CampaignAssignmentRequest
)

#: The request for each resource, by the element of its orders.
_REQUESTS: Final[dict[str, type[ExternalTnsOrderRequest | ImportTnOrderRequest | RemoveImportedTnOrderRequest]]] = {
    "ExternalTnsOrder": ExternalTnsOrderRequest,
    "ImportTnOrder": ImportTnOrderRequest,
    "RemoveImportedTnOrder": RemoveImportedTnOrderRequest,
}


def build_order_request(resource: OrderResource, **values: Any) -> TnOrderRequest:
    """The request for a resource, made of those values that it has a field for.

    :param values: by field; ``None`` is left to the request's default, or missing where it has none
    :raises InvalidParameterError: names each field that is missing or wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """
    kind = _REQUESTS[resource.order]
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    given: dict[str, Any] = {"order_api": resource.order_api, **values}
    taken = {f.name: given.get(f.name) for f in fields(kind)}
    return kind(**{name: value for name, value in taken.items() if name in required or value is not None})  # type: ignore[arg-type]
