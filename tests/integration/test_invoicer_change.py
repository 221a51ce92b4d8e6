#!/usr/bin/env python3
"""Subscriptions that change on a real Kafka: when, with what credit, and what is billed afterwards."""
# limit: 300
import datetime
import json
import os
import pathlib
import random
import shutil
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import BIN, Rig, chosen_seed, given, is_ready, plan, ulid, usage_card, wait_for  # noqa: E402
from test_invoicer_kills import count_calls, kill_after_a_time, kill_at_a_call  # noqa: E402

STARTER, FREE, LATER = ulid(1), ulid(2), ulid(3)
IMPORTED = 150


def fee(amount):
    return {"type": "flat_fee", "key": "base", "name": "Base fee", "billingCadence": "P1M",
            "price": {"type": "flat", "amount": amount}}


def metered(quota, price):
    return usage_card(price, entitlementTemplate={"type": "metered", "issueAfterReset": quota})


PLANS = [plan("starter", [fee("29"), metered("10000", {"type": "unit", "amount": "0"})]),
         plan("team", [fee("5"), metered("50000", {"type": "unit", "amount": "0.01"})]),
         plan("free", [{"type": "flat_fee", "featureKey": "api"}]),
         plan("euro", [fee("5")], currency="EUR")]


def subscription(number, key, **more):
    return {"id": ulid(number), "customerKey": "acme", "plan": {"key": key},
            "activeFrom": "2026-04-01T00:00:00Z", **more}


CATALOG = {"meters": [{"slug": "api", "aggregation": "SUM", "valueProperty": "$.total"}],
           "features": [{"key": "api", "name": "API", "meterSlug": "api"}], "plans": PLANS,
           "customers": [{"key": "acme", "name": "Acme"}],
           "subscriptions": [subscription(1, "starter", consumer={"name": "acme-key"}),
                             subscription(2, "free"), subscription(3, "team")]}


def close(rig, at, *more):
    return {each["id"]: each for each in rig.json("close", "--at", at, "--wait", "30s", *more)["invoices"]}


def act(rig, verb, name, at, *more, **how):
    return rig.json("subscriptions", verb, name, "--at", at, *more, **how)


def refused(rig, code, verb, name, at, *more):
    return rig.refused(code, "subscriptions", verb, name, "--at", at, *more)


def status(rig, name, at):
    return act(rig, "show", name, at)["status"]


def half_the_time_and_seventy_percent_of_the_quota(rig):
    rig.apply(CATALOG)
    rig.count([])
    assert close(rig, "2026-04-01T00:00:00Z")[f"{STARTER}-20260401T0000Z"]["total"] == "29.00"
    rig.count([(STARTER, "2026-04-03T00:00:00", "7000")])


def an_estimate_is_what_is_done_and_writes_nothing(rig):
    at = "2026-04-15T23:59:30Z"  # takes effect at the next whole minute
    estimate = act(rig, "change", STARTER, at, "--plan", "team", "--dry-run")
    assert estimate["creditAmount"] == "8.70" and estimate["effectiveAt"] == "2026-04-16T00:00:00Z", estimate
    assert estimate["firstInvoice"] == {"amount": "5.00", "discountTotal": "0.00", "credit": "5.00",
                                        "total": "0.00"}, estimate
    assert len(rig.json("subscriptions", "list")) == 3
    done = act(rig, "change", STARTER, at, "--plan", "team")
    for name in ("creditAmount", "currency", "firstInvoice", "effectiveAt", "current"):
        assert done[name] == estimate[name], name
    following = done["next"]
    assert following["annotations"] == {"subscription.previous.id": STARTER}
    assert following["consumer"] == {"name": "acme-key"}
    assert following["billingAnchor"] == "2026-04-01T00:00:00Z" and following["status"] == "scheduled"
    assert following["credit"]["uses"] == [{"featureKey": "api", "quota": "10000", "usage": "7000", "period": {
        "from": "2026-04-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}}], following
    assert rig.json("catalog", "get", "subscription/" + following["id"])["credit"] == following["credit"]
    assert status(rig, STARTER, at) == "canceled" and status(rig, STARTER, "2026-04-16T00:00:00Z") == "inactive"
    assert status(rig, following["id"], "2026-04-16T00:00:00Z") == "active"
    again = json.loads(rig.apply(rig.json("catalog", "get")))
    assert not again["added"] and not again["changed"], again
    return following["id"]


def a_change_to_a_lower_plan_gives_no_credit(rig):
    def estimated(order):
        rig.apply({"configuration": {"planOrder": order}})
        return act(rig, "change", STARTER, "2026-04-16T00:00:00Z", "--plan", "team", "--dry-run")["creditAmount"]

    assert estimated(["team", "starter"]) == "0.00", "a downgrade"
    assert estimated(["starter", "team"]) == "8.70", "an upgrade"
    assert estimated(["starter"]) == "8.70", "who isn't in the order is as good as higher"


def what_cannot_be_done_is_refused_with_a_code(rig, following):
    now = "2026-04-17T00:00:00Z"
    refused(rig, "subscription_inactive", "change", STARTER, now, "--plan", "team")
    refused(rig, "subscription_not_found", "show", ulid(99), now)
    refused(rig, "subscription_not_found", "change", ulid(99), now, "--plan", "team")
    refused(rig, "plan_unchanged", "change", following, now, "--plan", "team")
    refused(rig, "plan_not_found", "change", following, now, "--plan", "nothing")
    refused(rig, "plan_version_not_found", "change", following, now, "--plan", "starter@2")
    refused(rig, "subscription_currency_not_in_plan", "change", following, now, "--plan", "euro")
    refused(rig, "timing_in_the_past", "cancel", following, now, "--timing", "2026-04-16T00:00:00Z")
    refused(rig, "no_billable_item", "cancel", FREE, now, "--timing", "next_billing_cycle")
    refused(rig, "subscription_active", "restore", following, now)
    refused(rig, "subscription_scheduled", "cancel", following, "2026-04-15T00:00:00Z")
    rig.run("subscriptions", "change", following, "--plan", "team", "--timing", "soon", status=64)
    reopened = {**CATALOG, "subscriptions": [subscription(1, "starter")]}
    rig.apply(reopened, status=65)


def a_credit_goes_through_the_invoices_until_it_is_used_up(rig, following):
    april = close(rig, "2026-04-16T01:00:00Z")
    assert list(april) == [f"{STARTER}-20260416T0000Z", f"{following}-20260416T0000Z"], list(april)
    rig.count([(following, "2026-04-20T00:00:00", "100"), (following, "2026-05-02T00:00:00", "50")])
    bills = [april[f"{following}-20260416T0000Z"],
             close(rig, "2026-05-01T01:00:00Z")[f"{following}-20260501T0000Z"],
             close(rig, "2026-06-01T01:00:00Z")[f"{following}-20260601T0000Z"]]
    assert [(bill["total"], bill.get("credit", {}).get("used")) for bill in bills] == \
        [("0.00", "5.00"), ("2.30", "3.70"), ("5.50", None)], bills
    assert bills[1]["credit"] == {"previousSubscription": STARTER, "granted": "8.70", "usedBefore": "5.00",
                                  "used": "3.70", "remaining": "0.00"}
    assert [line.get("credit") for line in bills[1]["lines"]] == ["3.70", None]
    name = bills[1]["id"]
    assert "Credit from the plan before" in rig.run("invoices", "show", name)
    assert "less credit 3.70 USD" in rig.run("explain", name)
    other = rig.folder / "other"
    for bill in bills:
        assert rig.run("invoices", "show", bill["id"], "--json", data=other) == \
            rig.run("invoices", "show", bill["id"], "--json")


def a_change_at_the_next_cycle_gives_no_credit_and_can_be_taken_back(rig):
    now = "2026-06-10T00:00:00Z"
    done = act(rig, "change", LATER, now, "--plan", "starter", "--timing", "next_billing_cycle")
    assert done["creditAmount"] == "0.00" and "credit" not in done["next"], done
    assert done["effectiveAt"] == done["next"]["activeFrom"] == "2026-07-01T00:00:00Z"
    refused(rig, "subscription_canceled", "change", LATER, now, "--plan", "starter")
    back = act(rig, "restore", LATER, now)
    assert back["current"]["status"] == "active" and "activeTo" not in back["current"], back
    assert status(rig, done["next"]["id"], now) == "inactive"
    ended = act(rig, "cancel", LATER, now, "--timing", "next_billing_cycle")
    assert (ended["current"]["status"], ended["current"]["activeTo"]) == ("canceled", "2026-07-01T00:00:00Z")
    act(rig, "restore", LATER, now)
    assert act(rig, "cancel", FREE, now)["current"]["activeTo"] == now
    close(rig, "2026-07-01T01:00:00Z")
    refused(rig, "subscription_billed", "cancel", LATER, now)


def what_is_left_of_a_credit_moves_on(rig):
    now = "2026-07-02T00:00:00Z"
    first = act(rig, "change", LATER, now, "--plan", "starter@1")
    assert first["creditAmount"] == "4.84", first  # 30 of 31 days of 5.00
    second = act(rig, "change", first["next"]["id"], "2026-07-02T00:01:00Z", "--plan", "team")
    assert second["next"]["credit"]["carried"] == "0", second
    assert second["creditAmount"] == "29.00", second  # a minute of 30 days rounds to nothing
    third = act(rig, "change", second["next"]["id"], "2026-07-17T00:00:00Z", "--plan", "starter")
    assert third["next"]["credit"]["carried"] == "24", third


def what_is_used_while_a_change_waits_is_the_old_terms(rig):
    """At once is when it is written: until then everything that is counted is the old subscription's."""
    name, clock = ulid(5), rig.folder / "clock"
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)
    rig.apply({**CATALOG, "subscriptions": [{**subscription(5, "starter"), "activeFrom": start.strftime("%FT00:00:00Z")}]})
    rig.count([(name, start.strftime("%FT00:00:00"), "10")], mark=False)
    changing = rig.start("subscriptions", "change", name, "--plan", "team", "--wait", "60s", "--json", env={
        **os.environ, "LD_PRELOAD": str(BIN / "libother-clock.so"), "TOLLWAY_TEST_CLOCK": str(clock)})
    time.sleep(2)
    assert changing.poll() is None, "it didn't wait for the counters"
    (rig.folder / "clock.new").write_text("3600\n")
    (rig.folder / "clock.new").replace(clock)
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    rig.count([])
    effective = json.loads(changing.communicate(timeout=60)[0])["effectiveAt"]
    assert effective >= now.strftime("%FT%TZ"), effective


def fees_that_an_end_left_out_are_billed_when_it_is_taken_back(rig):
    """A yearly invoice had the monthly fees up to the end alone."""
    name, annual = ulid(6), plan("annual", [fee("10")], billingCadence="P1Y")
    rig.apply({**CATALOG, "plans": [*PLANS, annual],
               "subscriptions": [{**subscription(6, "annual"), "activeFrom": "2026-01-01T00:00:00Z"}]})
    rig.count([])
    assert close(rig, "2026-12-01T01:00:00Z", "--only", name)[f"{name}-20260101T0000Z"]["total"] == "120.00"
    act(rig, "cancel", name, "2026-12-15T00:00:00Z", "--timing", "2027-03-01T00:00:00Z")
    assert close(rig, "2027-01-01T01:00:00Z", "--only", name)[f"{name}-20270101T0000Z"]["total"] == "20.00"
    act(rig, "restore", name, "2027-02-10T00:00:00Z")
    back = act(rig, "change", name, "2027-02-15T00:00:00Z", "--plan", "team", "--dry-run")
    assert back["creditAmount"] == "5.00", back  # half of February, and nothing that isn't paid
    invoice = close(rig, "2028-01-01T01:00:00Z", "--only", name)[f"{name}-20280101T0000Z"]
    fees = [line["period"]["from"][:7] for line in invoice["lines"]]
    assert fees == [f"2027-{month:02}" for month in range(3, 13)] + [f"2028-{month:02}" for month in range(1, 13)], fees
    assert invoice["total"] == "220.00" and len({line["id"] for line in invoice["lines"]}) == 22, invoice
    close(rig, "2029-01-01T01:00:00Z", "--only", name)
    assert rig.invoices()[f"{name}-20290101T0000Z"] == "120.00"


def call(rig, address, key, method, path, body=None):
    """(status, parsed JSON)"""
    request = urllib.request.Request(f"{address}/v3/metering/{rig.bucket}/subscriptions/{path}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def the_same_goes_over_http(rig, address):
    name = ulid(4)
    start = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0) - datetime.timedelta(days=10)
    rig.apply({**CATALOG, "subscriptions": [
        {**subscription(4, "starter"), "activeFrom": start.strftime("%Y-%m-%dT00:00:00Z")}]})
    rig.count([(name, start.strftime("%Y-%m-%dT00:00:00"), "7000")])
    admin = rig.json("keys", "create", "--role", "admin")["key"]

    def ask(method, path, body=None):
        return call(rig, address, admin, method, path, body)

    body = {"plan": {"key": "team"}}
    status_code, estimate = ask("POST", name + "/change/estimate-credit", body)
    assert status_code == 200 and estimate["creditAmount"] == "8.70", estimate
    assert estimate["next"]["id"] is None and ask("GET", name)[1]["status"] == "active"
    status_code, done = ask("POST", name + "/change", {**body, "timing": "next_billing_cycle"})
    assert status_code == 200 and done["creditAmount"] == "0.00", done
    assert done["current"]["status"] == "canceled" and done["next"]["status"] == "scheduled", done
    assert ask("DELETE", done["next"]["id"])[1]["status"] == "inactive"
    for alias in ("unschedule-cancelation", "unschedule-cancellation", "restore"):
        assert ask("POST", f"{name}/{alias}")[1]["status"] == "active"
        assert ask("POST", name + "/cancel", {"timing": "next_billing_cycle"})[1]["status"] == "canceled"
    assert ask("POST", name + "/restore")[0] == 200
    status_code, done = ask("POST", name + "/change", {**body, "name": "Team", "metadata": {"by": "test"}})
    assert (status_code, done["creditAmount"], done["next"]["name"]) == (200, "8.70", "Team"), done
    assert rig.json("catalog", "get", "subscription/" + done["next"]["id"])["metadata"] == {"by": "test"}
    for wanted, code, method, path, sent in (
            (409, None, "POST", name + "/cancel", {}),
            (404, "subscription_not_found", "POST", ulid(99) + "/cancel", None),
            (404, "subscription_not_found", "GET", ulid(99), None),
            (400, "unknown_member", "POST", FREE + "/change", {**body, "until": "x"}),
            (400, "missing_member", "POST", FREE + "/change", {}),
            (400, "invalid_timing", "POST", FREE + "/change", {**body, "timing": "soon"}),
            (400, "invalid_type", "POST", LATER + "/change", {"plan": {"key": "starter", "version": "1"}}),
            (400, "unknown_member", "POST", LATER + "/change", {"plan": {"key": "starter", "versions": 1}}),
            (400, "plan_version_not_found", "POST", LATER + "/change", {"plan": {"key": "starter", "version": 0}}),
            (400, "plan_not_found", "POST", LATER + "/change", {"plan": {"key": "nothing"}})):
        status_code, answer = ask(method, path, sent)
        assert status_code == wanted and code in (None, answer["code"]), (path, status_code, answer)
    assert call(rig, address, rig.json("keys", "create")["key"], "GET", name)[0] == 401


def imported(number):
    old, new = 1000 + number, 2000 + number
    period = {"from": "2026-04-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}
    return [subscription(old, "starter", activeTo="2026-04-16T00:00:00Z"),
            {**subscription(new, "team"), "activeFrom": "2026-04-16T00:00:00Z",
             "billingAnchor": "2026-04-01T00:00:00Z", "annotations": {"subscription.previous.id": ulid(old)},
             "credit": {"amount": "8.70", "currency": "USD", "at": "2026-04-16T00:00:00Z",
                        "mode": "max_consumption_based",
                        "charges": [{"period": period, "price": "29.00", "ratio": "0.7", "credit": "8.70"}],
                        "uses": [{"featureKey": "api", "period": period, "usage": "7000", "quota": "10000"}]}}]


def killed_closes_use_a_credit_as_calm_ones_do(rig, dice):
    rig.count([])
    rig.apply({**CATALOG, "subscriptions": [each for i in range(IMPORTED) for each in imported(i)]})
    started, counts = time.monotonic(), None
    if shutil.which("strace"):
        counts = count_calls(rig, "2026-04-01T00:00:00Z")
    else:
        close(rig, "2026-04-01T00:00:00Z")
    longest = time.monotonic() - started
    kills = amid = 0
    for at in ("2026-04-16T01:00:00Z", "2026-05-01T01:00:00Z", "2026-06-01T01:00:00Z"):
        expected = close(rig, at, "--dry-run")
        before = len(rig.invoices())
        for _ in range(2):
            kills += kill_at_a_call(rig, dice, counts, at) if counts else \
                kill_after_a_time(rig, dice, longest, at)
        amid += before < len(rig.invoices()) < before + IMPORTED
        if at.startswith("2026-05"):
            shutil.rmtree(rig.data)
        close(rig, at)
        for name, invoice in list(expected.items())[::IMPORTED // 4]:
            assert json.loads(rig.run("invoices", "show", name, "--json")) == invoice, name
        assert {name: each["total"] for name, each in expected.items()}.items() <= rig.invoices().items()
        if at.startswith("2026-05"):
            invoice = expected[f"{ulid(2000)}-20260501T0000Z"]
            assert invoice["credit"]["usedBefore"] == "5.00" and invoice["total"] == "1.30", invoice
    print(f"{kills} kills, {amid} with a part of the invoices issued")


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    seed = chosen_seed()
    rig, rough = Rig(brokers), Rig(brokers)
    beside, address = rig.serve("beside")  # verbs needn't be elected, each anew
    try:
        wait_for("readiness", 30, lambda: is_ready(address))
        half_the_time_and_seventy_percent_of_the_quota(rig)
        a_change_to_a_lower_plan_gives_no_credit(rig)
        following = an_estimate_is_what_is_done_and_writes_nothing(rig)
        what_cannot_be_done_is_refused_with_a_code(rig, following)
        a_credit_goes_through_the_invoices_until_it_is_used_up(rig, following)
        a_change_at_the_next_cycle_gives_no_credit_and_can_be_taken_back(rig)
        the_same_goes_over_http(rig, address)
        what_is_left_of_a_credit_moves_on(rig)
        what_is_used_while_a_change_waits_is_the_old_terms(rig)
        fees_that_an_end_left_out_are_billed_when_it_is_taken_back(rig)
        killed_closes_use_a_credit_as_calm_ones_do(rough, random.Random(seed))
    finally:
        beside.terminate()
        beside.wait(20)
        rig.end()
        rough.end()


if __name__ == "__main__":
    main()
