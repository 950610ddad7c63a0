"""Contact and identity data of persons, which no generated text may hold."""

from __future__ import annotations

import re
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
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORDS = {"oh": "0"} | {name: str(i) for i, name in enumerate(_NAMES)}
_HAN_DIGITS = str.maketrans("零〇○一幺二两三四五六七八九", "00011223456789")
_APART = r"[\s,.·•・/_-]{0,3}"
# Seven digits or more, some of them in words: a number that is told, not one that is counted with.
_TOLD_ENGLISH = re.compile(rf"(?i)\b(?:(?:{'|'.join(_WORDS)}|\d){_APART}){{7,}}")
_TOLD_CHINESE = re.compile(rf"(?:[零〇○一幺二两三四五六七八九\d]{_APART}){{7,}}")


class PersonsGate:
    """Telephone numbers (libphonenumber), e-mail addresses, identity and card numbers with a valid check digit.

    Digits count in words too (一三八…, six five zero …) and with any dots, dashes and spaces between them.
    """

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
        if any(_has_telephone(each) for each in (text, *_told_digits(text))):
            return _found("a telephone number")
        return None


def _has_telephone(text: str) -> bool:
    return any(True for region in _REGIONS for _ in phonenumbers.PhoneNumberMatcher(text, region))


def _told_digits(text: str) -> list[str]:
    """Every long run of digits, in whatever words, as plain digits."""
    found = []
    for match in (*_TOLD_ENGLISH.finditer(text), *_TOLD_CHINESE.finditer(text)):
        plain = match.group().translate(_HAN_DIGITS)
        for word, digit in _WORDS.items():
            plain = re.sub(word, digit, plain, flags=re.IGNORECASE)
        found.append(re.sub(r"\D", "", plain))
    return found


def _found(what: str) -> Finding:
    return Finding("PERSONAL_DATA", f"holds {what}")
