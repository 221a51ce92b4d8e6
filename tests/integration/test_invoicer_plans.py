#!/usr/bin/env python3
"""A plan's way on a real Kafka: drafted with errors, published, in a second version, scheduled, archived."""
# limit: 120
import copy
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import PLANS, Rig, catalog, given, ulid  # noqa: E402

PRO = copy.deepcopy(PLANS[1])


def listed(rig, **how):
    """{(key, version or None): status}"""
    return {(row["key"], row.get("version")): row["status"] for row in rig.json("plans", "list", **how)}


def draft(rig, plan):
    path = rig.folder / "plan.json"
    path.write_text(json.dumps(plan))
    return rig.json("plans", "draft", path)


def subscribe(rig, number, status=0, **plan):
    path = rig.folder / "subscription.json"
    path.write_text(json.dumps({"subscriptions": [
        {"id": ulid(number), "customerKey": "customer0", "plan": {"key": "pro", **plan},
         "activeFrom": "2026-01-01T00:00:00Z"}]}))
    return rig.run("catalog", "apply", path, "--json", status=status)


def version_of(rig, number):
    return rig.json("catalog", "get", "subscription/" + ulid(number))["plan"]["version"]


def what_a_file_says_is_published(rig):
    rig.apply(catalog(3))
    assert listed(rig) == {(key, 1): "active" for key in ("free", "payg", "pro")}, listed(rig)
    [row] = [row for row in rig.json("plans", "list") if row["key"] == "pro"]
    assert (row["subscriptions"], row["currencies"]) == (1, ["USD"]) and row["effectiveFrom"], row


def a_draft_may_be_wrong_and_is_not_published_then(rig):
    wrong = copy.deepcopy(PRO)
    wrong["phases"][0]["rateCards"][1]["featureKey"] = "nothing"
    wrong["currency"] = "EUR"
    shown = draft(rig, wrong)
    assert shown["status"] == "draft"
    codes = [(error["path"], error["code"]) for error in shown["validationErrors"]]
    assert codes == [("/currency", "plan_currency_immutable"),
                     ("/phases/0/rateCards/1/featureKey", "rate_card_feature_not_found")], codes
    assert rig.refused("plan_invalid", "plans", "publish", "pro")["pointer"] == "/currency"
    assert listed(rig)["pro", None] == "draft" and ("pro", 2) not in listed(rig)
    assert "rate_card_feature_not_found" in rig.run("plans", "show", "--draft", "pro")
    subscribe(rig, 10)
    assert version_of(rig, 10) == 1, "a draft isn't sold"


def a_draft_is_edited_and_published_as_the_next_version(rig):
    better = copy.deepcopy(PRO)
    better["name"] = "Pro, better"
    assert draft(rig, better)["validationErrors"] == []
    published = rig.json("plans", "publish", "pro")
    assert (published["version"], published["status"]) == (2, "active"), published
    assert ("pro", None) not in listed(rig) and listed(rig)["pro", 2] == "active"
    rig.refused("plan_draft_not_found", "plans", "publish", "pro")
    subscribe(rig, 11)
    assert (version_of(rig, 10), version_of(rig, 11)) == (1, 2)
    assert rig.json("plans", "show", "pro")["name"] == "Pro, better"
    assert rig.json("plans", "show", "pro@1")["name"] == "Pro"


def only_drafts_are_deleted(rig):
    rig.refused("plan_draft_not_found", "plans", "delete", "pro")
    broken = rig.folder / "broken.json"
    broken.write_text("{")
    rig.refused("invalid_json", "plans", "draft", broken)
    rig.refused("plan_not_found", "plans", "show", "nothing")
    draft(rig, {"key": "new_one", "name": "New"})
    rig.run("catalog", "apply", write(rig, {"subscriptions": [
        {"id": ulid(12), "customerKey": "customer0", "plan": {"key": "new_one"},
         "activeFrom": "2026-01-01T00:00:00Z"}]}), status=65)
    rig.run("plans", "delete", "new_one")
    assert ("new_one", None) not in listed(rig)


def write(rig, content):
    path = rig.folder / "content.json"
    path.write_text(json.dumps(content))
    return path


def a_version_can_be_published_for_later(rig):
    draft(rig, {**PRO, "name": "Pro, later"})
    rig.run("plans", "publish", "pro", "--at", "2020-01-01T00:00:00Z", status=64)
    rig.run("plans", "publish", "pro", "--at", "2199-01-01T00:00:00Z")
    assert listed(rig)["pro", 3] == "scheduled"
    subscribe(rig, 13)
    assert version_of(rig, 13) == 2, "the version for sale is the newest active one"
    subscribe(rig, 14, status=65, version=3)


def an_archived_plan_is_sold_no_longer_and_billed_all_the_same(rig):
    rig.run("plans", "archive", "pro@2")
    subscribe(rig, 15, status=65, version=2)
    rig.run("plans", "archive", "pro")
    rig.refused("plan_archived", "plans", "archive", "pro")
    assert {status for (key, _), status in listed(rig).items() if key == "pro"} == {"archived"}
    subscribe(rig, 15, status=65)
    subscribe(rig, 10)  # stands already
    again = json.loads(rig.apply(rig.json("catalog", "get")))
    assert not again["added"] and not again["changed"], again
    rig.count([])
    closed = rig.json("close", "--at", "2026-02-01T01:00:00Z", "--wait", "20s")
    totals = {invoice["id"]: invoice["total"] for invoice in closed["invoices"]}
    assert totals[f"{ulid(11)}-20260201T0000Z"] == totals[f"{ulid(10)}-20260201T0000Z"] == "99.00", totals


def an_archived_feature_takes_no_new_card(rig):
    rig.run("features", "archive", "api")
    rig.refused("feature_archived", "features", "archive", "api")
    assert rig.json("catalog", "get", "feature/api")["archivedAt"]
    again = json.loads(rig.apply(rig.json("catalog", "get")))
    assert not again["added"] and not again["changed"], again
    rig.apply({"plans": [{**PRO, "name": "Pro, another"}]}, status=65)
    shown = draft(rig, {**PRO, "name": "Pro, another"})
    assert [error["code"] for error in shown["validationErrors"]] == ["rate_card_feature_archived"], shown


def a_lost_folder_comes_back_the_same(rig):
    other = rig.folder / "other"
    assert listed(rig, data=other) == listed(rig)
    assert listed(rig, data=other)["pro", None] == "draft"
    assert rig.run("plans", "show", "--draft", "pro", data=other) == rig.run("plans", "show", "--draft", "pro")


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    rig = Rig(brokers)
    try:
        for test in (what_a_file_says_is_published, a_draft_may_be_wrong_and_is_not_published_then,
                     a_draft_is_edited_and_published_as_the_next_version, only_drafts_are_deleted,
                     a_version_can_be_published_for_later,
                     an_archived_plan_is_sold_no_longer_and_billed_all_the_same,
                     an_archived_feature_takes_no_new_card, a_lost_folder_comes_back_the_same):
            test(rig)
            print("passed:", test.__name__.replace("_", " "), flush=True)
    finally:
        rig.end()


if __name__ == "__main__":
    main()
