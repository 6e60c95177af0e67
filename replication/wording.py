"""Words and figures for log lines."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def count_of(number: int, singular: str, plural: str) -> str:
    """Return a count with the right form of its noun.

    >>> count_of(1, "repository", "repositories"), count_of(2, "tag", "tags")
    ('1 repository', '2 tags')
    """
    return f"{number} {singular if number == 1 else plural}"


def size_of(size_bytes: int) -> str:
    """Return a size in binary units, as Harbor shows sizes.

    >>> size_of(595), size_of(7002337)
    ('595 B', '6.7 MiB')
    """
    size = float(size_bytes)
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"
