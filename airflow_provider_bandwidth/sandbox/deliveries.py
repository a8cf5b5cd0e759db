"""What becomes of texts: delivery error codes, and the recipients that play them (reference, section 21.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Delivery:
    """A fate of a text.

    :param code: 0 if it is delivered
    :param leaves: whether it leaves Bandwidth first, so that it is SENT for a while
    """

    code: int
    description: str
    leaves: bool


# Codes and their meaning [msgdocs] [cli]; the wording is ours. Second digit 6 and 7: the carrier's.
_CODES: Final[tuple[tuple[int, str], ...]] = (
    (4001, "The service is not allowed."),
    (4301, "The encoding is malformed."),
    (4302, "The sender is malformed."),
    (4303, "The recipient is malformed."),
    (4350, "The destination is malformed."),
    (4360, "The message expired."),
    (4401, "The message was refused: loop or routing."),
    (4403, "The sender is forbidden here."),
    (4404, "The recipient is forbidden here."),
    (4405, "The sender is not allocated."),
    (4406, "The recipient is not allocated."),
    (4407, "The account is not defined for the sender."),
    (4408, "The account is not defined for the recipient."),
    (4409, "The sender's profile is invalid."),
    (4410, "The media could not be downloaded."),
    (4411, "The media is too large."),
    (4412, "The content could not be understood."),
    (4420, "There is no route for the sender."),
    (4421, "There is no route to the recipient."),
    (4431, "Short codes are not allowed here."),
    (4432, "The country is not allowed."),
    (4433, "Toll-free is not allowed here."),
    (4434, "The message to a toll-free number is not allowed."),
    (4435, "There are too many recipients."),
    (4451, "The user is disabled."),
    (4452, "The application is disabled or unknown."),
    (4470, "The message was taken for spam."),
    (4476, "The sender is on no campaign."),
    (4481, "The sender is blocked."),
    (4482, "The recipient is blocked."),
    (4492, "Emergency numbers cannot be texted."),
    (4493, "The message was rejected."),
    (4700, "The carrier rejected the destination."),
    (4701, "The carrier does not know the destination."),
    (4702, "The carrier does not serve the destination."),
    (4711, "The carrier rejected the media's type."),
    (4712, "The carrier rejected the media's size."),
    (4720, "The destination is invalid."),
    (4721, "The destination was deactivated."),
    (4730, "The carrier has no route."),
    (4740, "The carrier rejected the source."),
    (4750, "The carrier rejected the message."),
    (4751, "The carrier rejected the message's content."),
    (4752, "The carrier rejected the message's form."),
    (4753, "The carrier rejected the message's encoding."),
    (4770, "The carrier took the message for spam."),
    (4771, "The carrier rejected a shortened URL."),
    (4772, "The destination's owner blocks the sender."),
    (4773, "The campaign is inactive at the carrier."),
    (4774, "The sender is not provisioned in the industry's database."),
    (4775, "The destination's owner opted out."),
    (4780, "The volume of the sender is exceeded."),
    (4781, "The volume of the campaign is exceeded."),
    (4785, "The volume of the day is exceeded."),
    (4790, "The carrier rejected the short code."),
    (4791, "The short code is not provisioned."),
    (4792, "The short code is not allowed for the destination."),
    (4793, "The short code is inactive."),
    (4795, "The toll-free sender is not verified."),
    (5100, "The service is unavailable."),
    (5101, "The service was not available for a moment."),
    (5106, "The network is not available."),
    (5111, "The service timed out."),
    (5201, "The service is overloaded."),
    (5211, "The routing failed."),
    (5220, "The message could not be handed on."),
    (5229, "The number and its campaign are being provisioned."),
    (5231, "The service behind this one failed."),
    (5500, "The message failed for an unknown reason."),
    (5501, "The message failed inside the service."),
    (5600, "The carrier's queue is full."),
    (5610, "The carrier's service is not available."),
    (5620, "The carrier does not know the sender yet."),
    (5630, "The carrier failed."),
    (5650, "The carrier's service failed."),
    (5999, "The service failed for an unknown reason."),
    (9902, "No receipt came in time."),
    (9999, "The fate is unknown."),
)

#: Seconds without a receipt after which a text's fate is 9902.
RECEIPT_SECONDS: Final = 2 * 3600.0

DELIVERED: Final = Delivery(0, "The message was delivered.", leaves=True)
DELIVERIES: Final = {
    code: Delivery(code, text, leaves=code // 100 % 10 in (6, 7) or code >= 9000) for code, text in _CODES
}

_MAGIC: Final = re.compile(r"\+1\d{3}555(\d{4})")


def find_magic_delivery(recipient: str) -> Delivery | None:
    """The fate of a text to ``+1 NPA 555 CODE``: that delivery code; ``None`` for another recipient."""
    match = _MAGIC.fullmatch(recipient)
    return DELIVERIES.get(int(match[1])) if match is not None else None
