"""Numbers as people read them: sizes in binary units (as Harbor shows them), rates and durations."""

from datetime import timedelta

from django.utils.formats import localize
from django.utils.translation import pgettext

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_size(size_bytes: float) -> str:
    """Return a size with three significant digits.

    >>> [format_size(size) for size in (0, 1023, 1024, 12_900_000, 671_088_640)]
    ['0 B', '1023 B', '1 KiB', '12.3 MiB', '640 MiB']
    """
    amount, unit = float(size_bytes), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    digits = 0 if unit == 0 or amount >= 100 else 1 if amount >= 10 else 2
    number = f"{amount:.{digits}f}"
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number} {UNITS[unit]}"


def format_rate(bytes_per_second: float) -> str:
    """Return a rate.

    >>> format_rate(12_900_000)
    '12.3 MiB/s'
    """
    return f"{format_size(bytes_per_second)}/s"


def format_duration(duration: timedelta) -> str:
    """Return a duration in its two largest units.

    >>> [format_duration(timedelta(seconds=s)) for s in (0.35, 7, 725, 3725, 90_000)]
    ['350 ms', '7 s', '12 min 5 s', '1 h 2 min', '1 d 1 h']
    """
    seconds = max(0.0, duration.total_seconds())
    if seconds < 1:
        return pgettext("duration", "%(milliseconds)d ms") % {"milliseconds": round(seconds * 1000)}
    whole = int(seconds)
    parts = {"days": whole // 86400, "hours": whole // 3600 % 24, "minutes": whole // 60 % 60, "seconds": whole % 60}
    if whole < 60:
        return pgettext("duration", "%(seconds)d s") % parts
    if whole < 3600:
        return pgettext("duration", "%(minutes)d min %(seconds)d s") % parts
    if whole < 86400:
        return pgettext("duration", "%(hours)d h %(minutes)d min") % parts
    return pgettext("duration", "%(days)d d %(hours)d h") % parts


def format_bandwidth(kilobits_per_second: int) -> str:
    """Return a rule's bandwidth the way Harbor writes it; 0 is unlimited.

    >>> [format_bandwidth(speed) for speed in (0, 512, 2048, 1500)]
    ['Unlimited', '512 Kbps', '2 Mbps', '1500 Kbps']
    """
    if not kilobits_per_second:
        return pgettext("bandwidth", "Unlimited")
    if kilobits_per_second % 1024 == 0:
        return f"{localize(kilobits_per_second // 1024)} Mbps"
    return f"{localize(kilobits_per_second)} Kbps"
