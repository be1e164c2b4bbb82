"""Writes tests/fixtures/zones.txt: the UTC offsets of every time zone for some years, as Python's zoneinfo has
them. A line has the zones that agree, their first offset in minutes, and each change as MINUTE:OFFSET, with the
minute counted from 1970-01-01T00:00Z."""

import datetime
import pathlib
import zoneinfo

YEARS = range(2024, 2034)
DAY = 86_400


def second(year):
    return int(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc).timestamp())


def offset(zone, time):
    return int(datetime.datetime.fromtimestamp(time, zone).utcoffset().total_seconds())


def changes(zone, begin, end):
    """The changes of a zone that has at most one on a day."""
    known = offset(zone, begin)
    for day in range(begin, end, DAY):
        if offset(zone, day + DAY) == known:
            continue
        low, high = day, day + DAY
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == known else (low, middle)
        known = offset(zone, high)
        yield high, known


def main():
    begin, end = second(YEARS.start), second(YEARS.stop)
    lines = {}
    for name in sorted(zoneinfo.available_timezones() - {"localtime", "Factory", "posixrules"}):
        zone = zoneinfo.ZoneInfo(name)
        words = [str(offset(zone, begin) // 60)]
        words += [f"{at // 60}:{minutes // 60}" for at, minutes in changes(zone, begin, end)]
        lines.setdefault(" ".join(words), []).append(name)
    text = "".join(f"{','.join(names)} {offsets}\n" for offsets, names in lines.items())
    (pathlib.Path(__file__).parents[1] / "tests/fixtures/zones.txt").write_text(text)


if __name__ == "__main__":
    main()
