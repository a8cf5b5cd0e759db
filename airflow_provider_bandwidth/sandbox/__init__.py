"""A Bandwidth Dashboard to run locally: for the demo, for tests, and to try any error code.

It shares no code with the client in the rest of this package, so that one cannot hide the other's mistakes.
Needs the extra ``airflow-provider-bandwidth[sandbox]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_bandwidth.sandbox.inventory import Location
from airflow_provider_bandwidth.sandbox.orders import Order, OrderError

if TYPE_CHECKING:
    from airflow_provider_bandwidth.sandbox.server import Sandbox

__all__ = ["Location", "Order", "OrderError", "Sandbox"]


def __getattr__(name: str) -> Any:
    if name != "Sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from airflow_provider_bandwidth.sandbox.server import Sandbox
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise ImportError(
            f"The sandbox needs {error.name}: pip install 'airflow-provider-bandwidth[sandbox]'"
        ) from error
    return Sandbox
