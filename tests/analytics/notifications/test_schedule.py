"""When a person gets e-mail: digests, quiet hours, the maximum of a week, in the person's own time zone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from fixtures.small_site import SmallSite
from moodlemlbackend.analytics.notifications.schedule import Schedule, schedule
from moodlemlbackend.analytics.site.people import time_zones
from moodlemlbackend.analytics.site.zones import name_of, zone_named
from moodlemlbackend.errors import UsageError
from moodlemlbackend.settings.analytics import AnalyticsSettings, load_analytics_settings

BERLIN, MADRID, NEW_YORK = map(ZoneInfo, ("Europe/Berlin", "Europe/Madrid", "America/New_York"))
UTC = timezone.utc


def moment(text: str, zone=UTC, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp())


def in_words(seconds: int, zone=UTC) -> str:
    return datetime.fromtimestamp(seconds, zone).strftime("%a %Y-%m-%d %H:%M")


def made(digest="daily", zone=UTC, quiet="none", most=0, hour=7, weekday=0):
    return Schedule(digest, hour, weekday, quiet, most, zone)


@pytest.mark.parametrize(
    ("digest", "zone", "written", "due"),
    [
        ("off", UTC, "2026-11-25 04:00", "Wed 2026-11-25 04:00"),
        ("daily", UTC, "2026-11-25 04:00", "Wed 2026-11-25 07:00"),
        ("daily", UTC, "2026-11-25 07:00", "Wed 2026-11-25 07:00"),
        ("daily", UTC, "2026-11-25 07:01", "Thu 2026-11-26 07:00"),
        ("daily", NEW_YORK, "2026-11-25 04:00", "Wed 2026-11-25 07:00"),
        ("weekly", UTC, "2026-11-25 04:00", "Mon 2026-11-30 07:00"),
        ("weekly", UTC, "2026-11-30 04:00", "Mon 2026-11-30 07:00"),
        ("weekly", UTC, "2026-11-30 07:01", "Mon 2026-12-07 07:00"),
        # The clocks go forward on 29 March 2026, and back on 25 October 2026: the hour stays that of the wall.
        ("daily", BERLIN, "2026-03-28 12:00", "Sun 2026-03-29 07:00"),
        ("daily", BERLIN, "2026-10-24 12:00", "Sun 2026-10-25 07:00"),
        ("weekly", BERLIN, "2026-10-24 12:00", "Mon 2026-10-26 07:00"),
    ],
)
def test_a_digest_is_due_at_its_hour_where_the_reader_lives(digest, zone, written, due):
    when = moment(written, zone)
    assert in_words(made(digest, zone).due(when, (), when), zone) == due


def test_the_hour_of_the_wall_is_another_hour_of_the_world_after_a_change_of_the_clock():
    first, second = (made(zone=BERLIN).due(moment(f"2026-03-{day} 12:00", BERLIN), (), 0) for day in (27, 28))
    assert second - first == 23 * 3600
    night = made(zone=BERLIN, hour=2)  # there is no 02:00 to 03:00 on this day
    assert in_words(night.due(moment("2026-03-28 12:00", BERLIN), (), 0), BERLIN) == "Sun 2026-03-29 03:00"
    twice = [made(zone=BERLIN, hour=2).due(moment("2026-10-25 02:30", BERLIN, fold=fold), (), 0) for fold in (0, 1)]
    assert {in_words(at, BERLIN) for at in twice} == {"Mon 2026-10-26 02:00"}  # 02:00 came once, not twice


@pytest.mark.parametrize(
    ("quiet", "zone", "now", "loud"),
    [
        ("20:00-07:00", UTC, "2026-11-25 19:59", "Wed 2026-11-25 19:59"),
        ("20:00-07:00", UTC, "2026-11-25 20:00", "Thu 2026-11-26 07:00"),
        ("20:00-07:00", UTC, "2026-11-26 00:00", "Thu 2026-11-26 07:00"),
        ("20:00-07:00", UTC, "2026-11-26 06:59", "Thu 2026-11-26 07:00"),
        ("20:00-07:00", UTC, "2026-11-26 07:00", "Thu 2026-11-26 07:00"),
        ("12:00-13:30", UTC, "2026-11-26 12:10", "Thu 2026-11-26 13:30"),
        ("12:00-13:30", UTC, "2026-11-26 23:10", "Thu 2026-11-26 23:10"),
        ("20:00-07:00", NEW_YORK, "2026-11-25 22:00", "Thu 2026-11-26 07:00"),
        ("20:00-02:30", BERLIN, "2026-03-29 01:00", "Sun 2026-03-29 03:30"),
        ("20:00-07:00", BERLIN, "2026-10-24 23:00", "Sun 2026-10-25 07:00"),
    ],
)
def test_nothing_is_due_in_quiet_hours(quiet, zone, now, loud):
    when = moment(now, zone)
    chosen = made("off", zone, quiet)
    assert in_words(chosen.loud(when), zone) == loud
    assert in_words(chosen.due(when, (), when), zone) == loud


def test_quiet_hours_that_end_in_the_hour_that_comes_twice():
    chosen = made("off", BERLIN, "20:00-02:30")
    before, again = (moment("2026-10-25 02:10", BERLIN, fold=fold) for fold in (0, 1))
    assert chosen.loud(before) == moment("2026-10-25 02:30", BERLIN)
    assert chosen.loud(again) == moment("2026-10-25 02:30", BERLIN, fold=1)


def test_a_digest_in_quiet_hours_comes_when_they_end_and_one_that_is_late_waits_for_them():
    chosen = made(quiet="20:00-09:00")
    assert in_words(chosen.due(moment("2026-11-25 04:00"), (), 0)) == "Wed 2026-11-25 09:00"
    late = moment("2026-11-25 21:30")  # the tasks had not run all day
    assert in_words(chosen.due(moment("2026-11-25 04:00"), (), late)) == "Thu 2026-11-26 09:00"


def test_the_maximum_of_a_week_has_a_digest_wait_for_the_first_day_that_has_room():
    days = [moment(f"2026-11-{day} 07:42") for day in (23, 24, 25)]
    chosen = made(most=3)
    assert in_words(chosen.due(moment("2026-11-26 04:00"), days, 0)) == "Mon 2026-11-30 07:00"
    assert in_words(made("off", most=3).due(moment("2026-11-26 04:00"), days, 0)) == "Mon 2026-11-30 00:00"
    assert in_words(made("off", quiet="20:00-07:00", most=3).due(moment("2026-11-26 04:00"), days, 0)) == (
        "Mon 2026-11-30 07:00"
    )
    assert in_words(made("weekly", most=1, weekday=3).due(moment("2026-11-26 04:00"), days, 0)) == (
        "Thu 2026-12-03 07:00"
    )


@pytest.mark.parametrize(
    ("digest", "most", "messages", "sent", "gathers"),
    [
        ("daily", 0, 1, 0, False),
        ("daily", 0, 2, 0, True),
        ("off", 0, 9, 9, False),
        ("off", 3, 2, 1, False),
        ("off", 3, 3, 1, True),  # there is room for two
        ("off", 3, 1, 2, False),
        ("off", 3, 2, 3, True),  # what had to wait goes together, however much room there is then
    ],
)
def test_what_goes_in_one_email(digest, most, messages, sent, gathers):
    days = [moment(f"2026-11-{day} 07:42") for day in (19, 20, 21, 22, 23, 24, 25, 25, 25)[:sent]]
    written, now = moment("2026-11-25 04:00"), moment("2026-11-25 08:00")
    if sent == most:
        now += 3 * 86_400
    assert made(digest, most=most).gathers(messages, written, days, now) is gathers


def test_one_a_day_never_reaches_a_maximum_of_seven():
    """However many minutes later the task runs each day, also over a change of the clock."""
    chosen, sent = made(zone=BERLIN, most=7), []
    day = datetime(2026, 10, 15, 4, tzinfo=BERLIN)
    for number in range(21):
        written = int((day + timedelta(days=number)).timestamp())
        due = chosen.due(written, sent, written)
        assert in_words(due, BERLIN)[:14] == in_words(written, BERLIN)[:14]
        sent.append(due + 3000 - 120 * number)  # each day two minutes less than a day after the last


def test_the_settings_say_when_and_a_person_may_choose_otherwise():
    settings = AnalyticsSettings(digest="weekly", digest_hour=8, digest_weekday="Friday", mails_a_week=2)
    assert schedule(settings, UTC) == Schedule("weekly", 8, 4, "20:00-07:00", 2, UTC)
    assert schedule(settings, UTC, "off", "none") == Schedule("off", 8, 4, "none", 2, UTC)
    assert schedule(AnalyticsSettings(), MADRID) == Schedule("daily", 7, 0, "20:00-07:00", 7, MADRID)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("quiet_hours", "8:00-17:30", "08:00-17:30"),
        ("quiet_hours", "20:00 - 07:00", "20:00-07:00"),
        ("quiet_hours", "None", "none"),
        ("quiet_hours", "20:00-20:00", None),
        ("quiet_hours", "24:00-07:00", None),
        ("quiet_hours", "20-7", None),
        ("digest", "monthly", None),
        ("digest_hour", "24", None),
        ("digest_weekday", "friday", "Friday"),
        ("digest_weekday", "mon", None),
        ("mails_a_week", "-1", None),
    ],
)
def test_settings_are_read_or_refused(monkeypatch, key, text, value):
    monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", "/dev/null")
    monkeypatch.setenv(f"MOODLEMLBACKEND_{key.upper()}", text)
    if value is None:
        with pytest.raises(UsageError, match="allowed: "):
            load_analytics_settings()
    else:
        assert getattr(load_analytics_settings(), key) == value


# ---- time zones in Moodle ----


def test_each_user_has_their_own_time_zone_or_the_sites(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    small.set("UPDATE mdl_config SET value = 'Europe/Madrid' WHERE name = 'timezone'")
    own, site, none, old, unknown = (
        small.user(timezone=name) for name in ("America/New_York", "99", None, "-3.5", "Middle/Earth")
    )
    with small.open() as opened:
        zones = time_zones(opened, [own, site, none, old, unknown, 12345])
    assert zones == {
        own: NEW_YORK, site: MADRID, none: MADRID, old: timezone(timedelta(hours=-3.5)), unknown: MADRID, 12345: MADRID,
    }  # fmt: skip
    assert {user: zone_named(name_of(zone)) for user, zone in zones.items()} == zones
    small.add("config", name="forcetimezone", value="Europe/Berlin")
    with small.open() as opened:
        assert time_zones(opened, [own, site]) == {own: BERLIN, site: BERLIN}
    small.set("UPDATE mdl_config SET value = '99' WHERE name = 'forcetimezone'")
    with small.open() as opened:
        assert time_zones(opened, [own]) == {own: NEW_YORK}


def test_a_site_without_the_column_has_one_zone(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite", without=("user.timezone",))
    user = small.user()
    with small.open() as opened:
        assert time_zones(opened, [user]) == {user: ZoneInfo("UTC")}
