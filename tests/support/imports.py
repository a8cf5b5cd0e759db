"""What imports through importTnOrders need beside their numbers, as a connection's extra has it."""

from __future__ import annotations

from typing import Any, Final

SUBSCRIBER: Final[dict[str, Any]] = {
    "name": "Example Bakery LLC",
    "service_address": {
        "house_number": "12",
        "street_name": "Mill",
        "city": "Durham",
        "state_code": "NC",
        "zip": "27701",
    },
}
IMPORT_DEFAULTS: Final[dict[str, Any]] = {"subscriber": SUBSCRIBER, "loa_authorizing_person": "Ada Baker"}
