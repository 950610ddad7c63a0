"""Contact and identity data of persons, which no generated text may hold."""

from __future__ import annotations

import unicodedata

import phonenumbers
import re2
from stdnum import luhn
from stdnum.cn import ric

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding

__all__ = ["PersonsGate"]

_REGIONS = ("CN", "US", "GB", "TW", "HK")
_EMAIL = re2.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{2,63})+")
_CARD = re2.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_IDENTITY = re2.compile(r"\b\d{17}[\dXx]\b")
_HANDLE = re2.compile(r"(?i)(微信|wechat|qq|whatsapp|telegram)\s*(号|id)?\s*[:：]?\s*[a-z0-9_-]{5,}")


class PersonsGate:
    """Telephone numbers (libphonenumber), e-mail addresses, identity and card numbers with a valid check digit."""

    name = "persons"

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`; what was found is not repeated in the reason."""
        text = unicodedata.normalize("NFKC", candidate.words)
        if _EMAIL.search(text):
            return _found("an e-mail address")
        if any(ric.is_valid(number.upper()) for number in _IDENTITY.findall(text)):
            return _found("an identity card's number")
        if any(luhn.is_valid(number.replace(" ", "").replace("-", "")) for number in _CARD.findall(text)):
            return _found("a payment card's number")
        if _HANDLE.search(text):
            return _found("a messenger's account")
        if any(True for region in _REGIONS for _ in phonenumbers.PhoneNumberMatcher(text, region)):
            return _found("a telephone number")
        return None


def _found(what: str) -> Finding:
    return Finding("PERSONAL_DATA", f"holds {what}")
