from datetime import timedelta

import pytest

from include.features.computed_days import dirty_days, due_days, outdated_days, read_days, record_online
from include.features.materialize import compute_features
from include.features.views import load_views, offline_folder
from tests.shop import Shop, at, half_a_year, on

DAY = on("2017-03-01")
RECORDED_AT = at("2017-05-01")


def contents(shop):
    """Return the bytes of every published day."""
    folder = offline_folder(shop.settings, "customer_spending")
    return {on(path.stem): path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.mark.parametrize(
    ("event", "arrived", "window", "dirty"),
    [
        ("2017-03-01", "2017-03-05T00:00", 2, ["2017-03-02", "2017-03-03"]),
        ("2017-03-01", "2017-03-03T00:00", 2, ["2017-03-02", "2017-03-03"]),  # just as day 3 was computed
        ("2017-03-01", "2017-03-02T23:59", 2, ["2017-03-02"]),
        ("2017-03-01", "2017-03-01T23:59", 2, []),  # in time
        ("2017-03-04", "2017-03-09T00:00", 2, []),  # after every computed day
        ("2017-02-01", "2017-03-09T00:00", 2, []),  # longer ago than any day looks
        ("2017-02-01", "2017-03-09T00:00", None, ["2017-03-01", "2017-03-02", "2017-03-03", "2017-03-04"]),
    ],
)
def test_a_late_row_marks_the_days_that_look_at_it(event, arrived, window, dirty):
    """From the day after the event, as far as the window reaches, if the day was computed before."""
    computed = {on(f"2017-03-0{day}"): at(f"2017-03-0{day}") for day in range(1, 5)}
    span = None if window is None else timedelta(days=window)
    assert [on(day) for day in dirty] == dirty_days(computed, {on(event): at(arrived)}, span)


def test_a_late_purchase_changes_exactly_its_days(tmp_path):
    """It arrives on 20 April: the days after it, up to 30, are due, and recomputing changes just those."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    shop.deliver(half_a_year())
    for day in (1, 8, 9, 10, 19):
        moment = on(f"2017-04-{day:02}")
        compute_features(shop.settings, moment, moment, at(moment.isoformat()))
    record_online(shop.settings, "customer_spending", on("2017-04-19"), RECORDED_AT)
    before = contents(shop)
    late = (1, 77, 1, 500.0, "2017-03-10T12:00:00")
    shop.deliver(half_a_year(), [(late, "2017-04-19T18:00:00")])
    due = due_days(shop.settings, on("2017-04-20"), at("2017-04-20"))
    touched = [on(f"2017-04-{day:02}") for day in (1, 8, 9)]
    assert [*touched, on("2017-04-20")] == due
    compute_features(shop.settings, due[0], due[-1], at("2017-04-20"))
    after = contents(shop)
    assert touched == sorted(day for day in before if before[day] != after[day])


def test_nothing_is_due_twice(tmp_path):
    """A day is due until it is computed and online, and again when a source's file changed."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    assert [DAY] == due_days(shop.settings, DAY, at("2017-03-01"))
    compute_features(shop.settings, DAY, DAY, at("2017-03-01"))
    assert [DAY] == due_days(shop.settings, DAY, at("2017-03-01T01:00"))
    record_online(shop.settings, "customer_spending", DAY, RECORDED_AT)
    assert [] == due_days(shop.settings, DAY, at("2017-03-01T01:00"))
    shop.write([*half_a_year(), (1, 1, 1, 9.0, "2017-02-20T12:00:00")])
    assert [DAY] == due_days(shop.settings, DAY, at("2017-03-01T01:00"))


def test_a_run_that_died_before_the_online_step_is_made_up_for(tmp_path):
    """A day that was published again and is not online keeps the next run from doing nothing."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    before = DAY - timedelta(days=1)
    compute_features(shop.settings, before, DAY, at("2017-03-01"))
    record_online(shop.settings, "customer_spending", DAY, RECORDED_AT)
    assert [] == due_days(shop.settings, DAY, at("2017-03-01T01:00"))
    compute_features(shop.settings, before, before, at("2017-03-01T01:00"))
    assert [before] == due_days(shop.settings, DAY, at("2017-03-01T02:00"))
    record_online(shop.settings, "customer_spending", DAY, RECORDED_AT)
    assert [] == due_days(shop.settings, DAY, at("2017-03-01T02:00"))


def test_an_older_run_leaves_what_a_newer_one_knew(tmp_path):
    """A day computed as of a later moment is not due for a run that looks from an earlier one."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    compute_features(shop.settings, DAY, DAY, at("2017-03-05"))
    record_online(shop.settings, "customer_spending", DAY, RECORDED_AT)
    shop.write([*half_a_year(), (1, 1, 1, 9.0, "2017-02-20T12:00:00")])
    assert [] == due_days(shop.settings, DAY, at("2017-03-01"))


def outdated(shop, as_of):
    """Return the days of the first half of April that training as of a moment must compute."""
    view = load_views(shop.settings)["customer_spending"]
    days = [on(f"2017-04-{day:02}") for day in range(1, 15)]
    return outdated_days(shop.settings, view, days, at(as_of))


def test_training_elsewhere_computes_what_is_new_or_late(tmp_path):
    """Online or not: a laptop has no online store, and a row that arrived since counts there, too."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    late = (1, 77, 1, 500.0, "2017-03-10T12:00:00")
    shop.deliver(half_a_year(), [(late, "2017-04-20T18:00:00")])
    assert 14 == len(outdated(shop, "2017-04-20"))
    compute_features(shop.settings, on("2017-04-01"), on("2017-04-13"), at("2017-04-20"))
    assert [on("2017-04-14")] == outdated(shop, "2017-04-20")
    touched = [on(f"2017-04-{day:02}") for day in range(1, 10)]
    assert [*touched, on("2017-04-14")] == outdated(shop, "2017-04-21")
    compute_features(shop.settings, on("2017-04-01"), on("2017-04-14"), at("2017-04-21"))
    assert [] == outdated(shop, "2017-04-21") == outdated(shop, "2017-04-20")


def test_training_of_before_leaves_what_serves(tmp_path):
    """Other files make a day as good as new, unless a later run brought it online."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    compute_features(shop.settings, on("2017-04-01"), on("2017-04-14"), at("2017-04-20"))
    record_online(shop.settings, "customer_spending", on("2017-04-04"), RECORDED_AT)
    shop.write([*half_a_year(), (1, 1, 1, 9.0, "2017-02-20T12:00:00")])
    assert [on(f"2017-04-{day:02}") for day in range(5, 15)] == outdated(shop, "2017-04-19")
    assert 14 == len(outdated(shop, "2017-04-20"))


def test_the_first_time_online_is_kept(tmp_path):
    """A day computed again stays known as online since the first time, by wall time; later ones are not."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    compute_features(shop.settings, DAY, DAY + timedelta(days=1), at("2017-03-05"))
    record_online(shop.settings, "customer_spending", DAY, RECORDED_AT)
    compute_features(shop.settings, DAY, DAY, at("2017-03-06"))
    record_online(shop.settings, "customer_spending", DAY, RECORDED_AT + timedelta(hours=1))
    known = read_days(shop.settings, "customer_spending")
    assert [RECORDED_AT, None] == [known[day].online_since for day in sorted(known)]
