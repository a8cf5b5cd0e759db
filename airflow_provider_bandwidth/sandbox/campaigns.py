"""Campaigns: every id is a good one, except those that fail in a documented way (reference, sections 20 and 21.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign that fails.

    :param code: the error that a tnoptions order gets for it; empty if the order takes it
    :param status: the campaign's status in the registry
    :param number_status: the status there of a number on it, where the order takes it
    :param delivery_code: what becomes of texts from such a number; 0 if nothing stands in their way
    """

    campaign_id: str
    code: str
    description: str
    status: str = "REGISTERED"
    number_status: str = "SUCCESS"
    delivery_code: int = 0


MAGIC_CAMPAIGNS: Final = {
    row.campaign_id: row
    for row in (
        Campaign("CNOTFND", "12189", "The campaign was not found."),
        Campaign("CPENDNG", "12192", "The campaign is not active.", status="PENDING"),
        Campaign("CFOREGN", "12128", "The campaign is not authorised for this account."),
        Campaign("CREFUSE", "12220", "The campaign was refused by the second aggregator."),
        Campaign("CFAILED", "", "Taken, but never provisioned.", number_status="FAILURE", delivery_code=4476),
        Campaign("CDORMNT", "", "Taken, but the carriers know it as inactive.", delivery_code=4773),
    )
}


def find_campaign(campaign_id: str) -> Campaign:
    """A campaign, magic or good."""
    return MAGIC_CAMPAIGNS.get(campaign_id.upper()) or Campaign(campaign_id, "", "A campaign.")
