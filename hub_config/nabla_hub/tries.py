"""A brake on guessing: who fails often waits, longer each time; nobody is locked out by others for ever."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_KEYS = 10_000
Key = tuple[str, str]


@dataclass(frozen=True)
class Brake:
    """`free` failures cost nothing; each one more doubles the wait from `first` to `longest` seconds.

    One failure is forgotten every `leak` seconds.
    """

    free: int
    first: float
    longest: float
    leak: float


# `both`: a name from an address. `name`: a name from everywhere; wide, and never for a browser that the
# person used before, or anybody could lock anybody out.
PASSWORDS: dict[str, Brake] = {
    "both": Brake(5, 60, 15 * 60, 15 * 60),
    "address": Brake(30, 60, 15 * 60, 60),
    "name": Brake(100, 60, 15 * 60, 60),
}
# Whoever gets here knows the password already, and a code has six digits.
CODES: dict[str, Brake] = {
    "both": Brake(5, 60, 3600, 3600),
    "address": Brake(30, 60, 15 * 60, 60),
    "name": Brake(20, 60, 3600, 1800),
}
LINKS: dict[str, Brake] = {"address": Brake(20, 60, 15 * 60, 60)}
SIGN_UPS: dict[str, Brake] = {"address": Brake(10, 60, 3600, 360)}


@dataclass
class _Failures:
    """How many failures count since `when`, and until when no other try is heard."""

    count: int = 0
    when: float = 0.0
    until: float = 0.0


class Tries:
    """Counts failures in memory, by the brakes of one kind of secret; a success clears what it proves."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, brakes: Mapping[str, Brake] = PASSWORDS
    ) -> None:
        self._now = now
        self._brakes = brakes
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()

    def wait(self, name: str, address: str, browser: str = "") -> float:
        """Return for how many seconds this name from this address must not try; 0 when it may.

        `browser` is the mark of one in which this person signed in before ("" for none): only its own
        failures count.
        """
        now = self._now()
        untils = [
            self._failures[key].until
            for _, key in self._keys(name, address, browser)
            if key in self._failures
        ]
        return max(0.0, *untils, now) - now if untils else 0.0

    def failed(self, name: str, address: str, browser: str = "") -> None:
        """Count a failure."""
        now = self._now()
        for brake, key in self._keys(name, address, browser):
            known = self._failures.pop(key, None) or _Failures(when=now)
            forgotten = min(known.count, int((now - known.when) / brake.leak))
            known.count += 1 - forgotten
            known.when = now if known.count == 1 else known.when + forgotten * brake.leak
            over = known.count - brake.free
            known.until = now + min(brake.longest, brake.first * 2.0 ** min(over, 30)) if over >= 0 else 0.0
            self._failures[key] = known
        while len(self._failures) > MOST_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str, browser: str = "") -> None:
        """Take back the last failure, which was none, and forget those of this name from this address."""
        for _, key in self._keys(name, address, browser):
            known = self._failures.get(key)
            if known is None:
                continue
            known.count, known.until = max(0, known.count - 1), 0.0
            if key[0] in {"both", "browser"} or not known.count:
                del self._failures[key]

    def _keys(self, name: str, address: str, browser: str) -> list[tuple[Brake, Key]]:
        if browser and "both" in self._brakes:
            return [(self._brakes["both"], ("browser", f"{name}\0{browser}"))]
        texts = {"both": f"{name}\0{address}", "address": address, "name": name}
        return [(brake, (kind, texts[kind])) for kind, brake in self._brakes.items()]


def minutes(seconds: float) -> str:
    """Return a wait in words: `1 minute`, `15 minutes`."""
    count = max(1, -int(-seconds // 60))
    return f"{count} minute{'s' * (count > 1)}"
