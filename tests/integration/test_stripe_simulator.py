#!/usr/bin/env python3
"""tests/sim/stripe is asked by the official Stripe SDK for JavaScript: it takes what the SDK sends, gives
what the SDK reads, refuses with what the SDK throws, and one invoice is left of what the SDK tries again."""
# limit: 240
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import ROOT, main  # noqa: E402
from stripe_rig import StripeSim  # noqa: E402
from typescript import Interfaces  # noqa: E402

VERSION = "23.1.0"
KEY = "sk_test_1"
DAY_S = 24 * 3600
STRIPE = SDK = TYPES = None


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.type, self.status = error["type"], error.get("status")
        self.code, self.param = error.get("code"), error.get("param")


class Sdk:
    def __init__(self, folder):
        environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
        self.process = subprocess.Popen(["node", ROOT / "tests/support/stripe_sdk.js"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)

    def at_once(self, *calls):
        self.process.stdin.write(json.dumps(calls) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @staticmethod
    def call(name, *arguments, key=KEY, retries=0, **more):
        return {"url": STRIPE.url, "key": key, "retries": retries, "call": name, "arguments": arguments, **more}

    def __call__(self, name, *arguments, **more):
        answer, = self.at_once(self.call(name, *arguments, **more))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


def install(folder):
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder,
                           f"stripe@{VERSION}"], capture_output=True, text=True, check=False)
    return done.returncode == 0


def refusal(name, *arguments, **more):
    try:
        SDK(name, *arguments, **more)
    except Refused as error:
        return error
    raise AssertionError(f"{name} {arguments}: taken")


def customer(**more):
    return SDK("customers.create", {"name": "Acme", **more})["id"]


def draft(customer_id=None, **more):
    return SDK("invoices.create", {"customer": customer_id or customer(), "currency": "usd", **more})["id"]


def line(number, amount=1000):
    return {"amount": amount, "description": f"Line {number}", "metadata": {"tollway_line": str(number)},
            "period": {"start": 1767225600 + number, "end": 1769904000}}


def lines(*amounts):
    return {"lines": [line(i + 1, amount) for i, amount in enumerate(amounts)]}


def finalized(*amounts, customer_id=None, **more):
    invoice = draft(customer_id, **more)
    SDK("invoices.addLines", invoice, lines(*amounts))
    return SDK("invoices.finalizeInvoice", invoice, {"auto_advance": True})


# --- shape ---

PARAMETERS = {
    "GET /v1/account": "AccountRetrieveCurrentParams",
    "POST /v1/customers": "CustomerCreateParams",
    "GET /v1/customers": "CustomerListParams",
    "GET /v1/customers/{}": "CustomerRetrieveParams",
    "DELETE /v1/customers/{}": "CustomerDeleteParams",
    "POST /v1/invoices": "InvoiceCreateParams",
    "GET /v1/invoices": "InvoiceListParams",
    "GET /v1/invoices/{}": "InvoiceRetrieveParams",
    "DELETE /v1/invoices/{}": "InvoiceDeleteParams",
    "POST /v1/invoices/{}/add_lines": "InvoiceAddLinesParams",
    "GET /v1/invoices/{}/lines": "InvoiceListLineItemsParams",
    "POST /v1/invoices/{}/finalize": "InvoiceFinalizeInvoiceParams",
    "POST /v1/invoices/{}/pay": "InvoicePayParams",
    "POST /v1/invoices/{}/void": "InvoiceVoidInvoiceParams",
    "POST /v1/invoices/{}/mark_uncollectible": "InvoiceMarkUncollectibleParams",
}


def check_names(taken, path, where):
    known = TYPES.members(path)
    assert set(taken) <= set(known), (where, set(taken) - set(known))
    for name, nested in taken.items():
        if nested:
            check_names(nested, TYPES.named(known[name], path), f"{where} {name}")


def test_it_takes_no_parameter_that_the_sdk_does_not_know():
    taken = STRIPE.control("parameters")
    assert set(taken) == set(PARAMETERS)
    for endpoint, names in taken.items():
        check_names(names, (PARAMETERS[endpoint],), endpoint)


def test_what_it_shows_has_the_members_that_the_sdk_reads():
    invoice = finalized(100)
    shown = {"Invoice": invoice, "InvoiceLineItem": invoice["lines"]["data"][0],
             "Customer": SDK("customers.retrieve", invoice["customer"]), "Account": SDK("accounts.retrieveCurrent")}
    for name, thing in shown.items():
        unknown = set(thing) - set(TYPES.members((name,))) - {"lastResponse"}
        assert not unknown, (name, unknown)
    assert {"end": "number", "start": "number"} == TYPES.members(("InvoiceLineItem", "Period"))
    assert TYPES.members(("Invoice",))["total_excluding_tax"] == "number | null"


def test_an_invoice_from_nothing_to_open():
    month = [1000 + i for i in range(60)]
    acme = customer(email="billing@acme.example", metadata={"tollway_customer": "acme"})
    invoice = draft(acme, collection_method="send_invoice", days_until_due=14, auto_advance=False,
                    pending_invoice_items_behavior="exclude", metadata={"tollway_invoice": "I-1"})
    given = lines(*month)["lines"]
    for start in (0, 30):
        SDK("invoices.addLines", invoice, {"lines": given[start:start + 30]})
    before = len(STRIPE.log())
    held = SDK("invoices.listLineItems", invoice, {"limit": 25}, all=True)
    assert len(STRIPE.log()) - before == 3
    for wanted, found in zip(given, held, strict=True):
        assert {name: found[name] for name in wanted} == wanted
        assert found["currency"] == "usd" and found["invoice"] == invoice and found["subtotal"] == wanted["amount"]
    open_one = SDK("invoices.finalizeInvoice", invoice, {"auto_advance": True})
    assert open_one["status"] == "open" and open_one["number"] and open_one["auto_advance"] is True
    assert open_one["total"] == open_one["total_excluding_tax"] == open_one["amount_due"] == sum(month)
    assert len(open_one["lines"]["data"]) == 10 and open_one["lines"]["has_more"]
    assert open_one["due_date"] == open_one["created"] + 14 * DAY_S


def test_invoices_are_listed_newest_first_by_page():
    acme = customer()
    made = [draft(acme) for _ in range(23)]
    draft()
    SDK("invoices.finalizeInvoice", made[0])
    assert [i["id"] for i in SDK("invoices.list", {"customer": acme}, all=True)] == made[::-1]
    assert [i["id"] for i in SDK("invoices.list", {"customer": acme, "limit": 2})["data"]] == made[:-3:-1]
    assert len(SDK("invoices.list", {"customer": acme, "status": "draft", "limit": 100})["data"]) == 22
    created = SDK("invoices.retrieve", made[0])["created"]
    assert SDK("invoices.list", {"customer": acme, "created": {"gte": created + 60}})["data"] == []
    assert len(SDK("invoices.list", {"customer": acme, "created": {"gte": created}}, all=True)) == 23
    assert SDK("customers.del", acme)["deleted"] is True
    assert len(SDK("invoices.list", {"customer": acme}, all=True)) == 23
    for call in (("invoices.list", {"customer": "cus_none"}), ("invoices.create", {"customer": acme})):
        error = refusal(*call)
        assert (error.code, error.param) == ("resource_missing", "customer"), vars(error)


# --- refusals ---

def test_refusals_are_of_the_classes_that_the_sdk_throws():
    acme, invoice = customer(), draft()
    STRIPE.key("rk_test_poor", without=["rak_invoice_write"])
    STRIPE.key("sk_test_gone", revoked=True)
    idempotent = {"idempotencyKey": "classes"}
    SDK("customers.create", {"name": "A"}, idempotent)
    create = ("invoices.create", {"customer": acme})
    for error, kind, status, code, param in (
            (refusal(*create, key="nonsense"), "Authentication", 401, None, None),
            (refusal(*create, key="sk_test_gone"), "Authentication", 401, "api_key_expired", None),
            (refusal(*create, key="rk_test_poor"), "Permission", 403, None, None),
            (refusal("invoices.create", {}), "InvalidRequest", 400, "parameter_missing", "customer"),
            (refusal("invoices.create", {"customer": acme, "more": 1}), "InvalidRequest", 400, "parameter_unknown",
             "more"),
            (refusal("invoices.addLines", invoice, {"lines": [line(1), {**line(2), "price": 3}]}), "InvalidRequest",
             400, "parameter_unknown", "lines[1][price]"),
            (refusal("invoices.addLines", invoice, {"lines": [{"amount": 1.5}]}), "InvalidRequest", 400,
             "parameter_invalid_integer", "lines[0][amount]"),
            (refusal("invoices.addLines", invoice, {"lines": [{"amount": 15, "quantity": 2}]}), "InvalidRequest", 400,
             None, "lines[0]"),
            (refusal("invoices.create", {"customer": "cus_none"}), "InvalidRequest", 400, "resource_missing",
             "customer"),
            (refusal("invoices.create", {"customer": acme, "description": ""}), "InvalidRequest", 400,
             "parameter_invalid_empty", "description"),
            (refusal("invoices.create", {"customer": acme, "collection_method": "send_invoice", "days_until_due": 1}),
             "InvalidRequest", 400, None, None),  # there is no address to send it to
            (refusal("invoices.retrieve", "in_none"), "InvalidRequest", 404, "resource_missing", "invoice"),
            (refusal("invoices.list", {"limit": 101}), "InvalidRequest", 400, "parameter_invalid_integer", "limit"),
            (refusal("customers.create", {"name": "B"}, idempotent), "Idempotency", 400, None, None),
            (refusal("invoices.create", {"customer": acme}, idempotent), "Idempotency", 400, None, None),
            (refusal("customers.create", {"source": "tok_chargeDeclined"}), "Card", 402, "card_declined", None)):
        assert (error.type, error.status, error.code, error.param) == (f"Stripe{kind}Error", status, code, param), \
            (error, vars(error))


def test_limits_on_the_rate():
    STRIPE.limits(account=1)
    answers = SDK.at_once(*[SDK.call("accounts.retrieveCurrent") for _ in range(12)])
    STRIPE.limits()
    refused = [a["error"] for a in answers if "error" in a]
    assert 0 < len(refused) < 12, len(refused)
    assert {(e["type"], e["status"], e["code"]) for e in refused} == {("StripeRateLimitError", 429, "rate_limit")}


def test_metadata():
    acme = customer()
    for held in ({"k" * 41: "v"}, {"k": "v" * 501}, {f"k{i}": "v" for i in range(51)}):
        error = refusal("invoices.create", {"customer": acme, "metadata": held})
        assert error.type == "StripeInvalidRequestError" and error.param == "metadata", vars(error)
    most = {f"{i:040}": "\u20ac" * 500 for i in range(50)}
    assert SDK("invoices.retrieve", draft(acme, metadata=most))["metadata"] == most
    assert refusal("invoices.create", {"customer": acme, "metadata": {"a[b]": "c"}}).status == 400
    assert SDK("invoices.retrieve", draft(acme, metadata={"a": "", "b": "c"}))["metadata"] == {"b": "c"}


def test_no_251st_line_and_all_or_none_of_a_request():
    invoice = draft()
    SDK("invoices.addLines", invoice, lines(*[1] * 249))
    for refused in ((1, 1), (1,) * 251):
        assert refusal("invoices.addLines", invoice, lines(*refused)).param == "lines"
    assert len(SDK("invoices.listLineItems", invoice, {"limit": 100}, all=True)) == 249
    SDK("invoices.addLines", invoice, lines(1))
    assert refusal("invoices.addLines", invoice, lines(1)).status == 400
    assert SDK("invoices.retrieve", invoice)["total"] == 250


def test_currencies():
    for currency, good, bad in (("kwd", 1230, 1234), ("isk", 1200, 1250), ("ugx", 1200, 1250), ("jpy", 1234, None)):
        invoice = draft(currency=currency)
        SDK("invoices.addLines", invoice, lines(good))
        if bad:
            assert refusal("invoices.addLines", invoice, lines(good, bad)).param == "lines[1][amount]"
        assert SDK("invoices.finalizeInvoice", invoice)["total"] == good
    assert refusal("invoices.create", {"customer": customer(), "currency": "xyz"}).param == "currency"


# --- states ---

def test_what_can_not_be_charged_is_paid_and_goes_to_the_balance():
    acme = customer()
    balance = 0
    for amount, due in ((0, 0), (49, 0), (30, 79), (-500, 0), (400, 0), (150, 50)):
        invoice = finalized(amount, customer_id=acme)
        assert (invoice["total"], invoice["starting_balance"], invoice["amount_due"]) == (amount, balance, due)
        assert invoice["status"] == ("open" if due else "paid")
        balance = balance + amount - due
        assert invoice["ending_balance"] == balance == SDK("customers.retrieve", acme)["balance"]


def test_the_states_of_an_invoice():
    declined = customer(source="tok_chargeCustomerFail")
    unpaid = finalized(1000, customer_id=declined)["id"]
    assert refusal("invoices.pay", unpaid).type == "StripeCardError"
    for call in (("addLines", lines(1)), ("finalizeInvoice", {}), ("del",)):
        assert refusal(f"invoices.{call[0]}", unpaid, *call[1:]).code == "invoice_not_editable", call
    assert SDK("invoices.markUncollectible", unpaid)["status"] == "uncollectible"
    assert SDK("invoices.pay", unpaid, {"paid_out_of_band": True})["status"] == "paid"
    assert refusal("invoices.voidInvoice", unpaid).code == "invoice_not_editable"

    assert SDK("invoices.voidInvoice", finalized(1000)["id"])["status"] == "void"
    gone = draft()
    assert SDK("invoices.del", gone)["deleted"] is True
    assert refusal("invoices.retrieve", gone).status == 404
    paid = finalized(1000, customer_id=customer(source="tok_visa"))["id"]
    paid = SDK("invoices.pay", paid)
    assert (paid["status"], paid["amount_paid"], paid["amount_remaining"]) == ("paid", 1000, 0)


def test_what_happens_by_itself():
    manual, automatic = draft(), draft(auto_advance=True)
    SDK("invoices.addLines", automatic, lines(1000))
    STRIPE.clock(3600)
    assert SDK("invoices.retrieve", manual)["status"] == "draft"
    assert SDK("invoices.retrieve", automatic)["status"] == "open"
    assert automatic in STRIPE.collect()
    assert SDK("invoices.retrieve", automatic)["status"] == "paid"


# --- what goes wrong on the way ---

def invoices_of(acme):
    return [invoice["id"] for invoice in SDK("invoices.list", {"customer": acme, "limit": 100})["data"]]


def test_the_sdks_second_try_leaves_one_invoice():
    faults = ({"do": "before"}, {"do": "after"}, {"do": "cut", "bytes": 40}, {"do": "status", "status": 503},
              {"do": "status", "status": 500, "is_kept": False},
              {"do": "status", "status": 429, "code": "lock_timeout"})
    for fault in faults:
        acme = customer()
        STRIPE.fault({"match": "POST /v1/invoices", **fault})
        # A cut answer isn't one that the SDK itself tries again: who calls it does.
        again = fault["do"] == "cut"
        if again:
            refusal("invoices.create", {"customer": acme}, {"idempotencyKey": acme}, retries=1)
        made = SDK("invoices.create", {"customer": acme}, {"idempotencyKey": acme}, retries=1)
        assert invoices_of(acme) == [made["id"]], fault
        sent = [e for e in STRIPE.log() if e["key"] == acme]
        assert len(sent) == 2 and len({e["digest"] for e in sent}) == 1, (fault, sent)
        assert sent[1]["replayed"] == (fault["do"] in ("after", "cut")), (fault, sent)
    assert all(key == "classes" for key in STRIPE.audit()["reused_keys"])


def test_a_kept_500_is_given_again_whether_it_was_executed_or_not():
    for is_executed in (False, True):
        acme = customer()
        STRIPE.fault({"match": "POST /v1/invoices", "do": "status", "status": 500, "is_executed": is_executed})
        for _ in range(2):
            error = refusal("invoices.create", {"customer": acme}, {"idempotencyKey": acme})
            assert (error.type, error.status) == ("StripeAPIError", 500)
        assert len(invoices_of(acme)) == is_executed


def test_keys_keep_the_first_answer_for_a_day():
    acme = customer()
    create = ("invoices.create", {"customer": acme, "metadata": {"tollway_invoice": acme}}, {"idempotencyKey": acme})
    first = SDK(*create)
    SDK("invoices.addLines", first["id"], lines(1000))
    SDK("invoices.finalizeInvoice", first["id"])
    assert SDK(*create) == first
    unsuitable = ("invoices.addLines", first["id"], lines(1), {"idempotencyKey": acme + "lines"})
    assert refusal(*unsuitable).code == refusal(*unsuitable).code == "invoice_not_editable"
    assert [(e["replayed"], e["error"]) for e in STRIPE.log()[-2:]] == [(False, "invoice_not_editable"),
                                                                        (True, "invoice_not_editable")]
    STRIPE.clock(DAY_S - 60)
    assert SDK(*create) == first
    STRIPE.clock(60)
    second = SDK(*create)["id"]
    assert invoices_of(acme) == [second, first["id"]]
    found, = [i for i in STRIPE.audit()["invoices"] if i["tollway_invoice"] == acme]
    assert [(i["id"], i["total"], len(i["lines"])) for i in found["standing"]] == [(first["id"], 1000, 1), (second, 0, 0)]
    SDK("invoices.voidInvoice", first["id"])
    SDK("invoices.del", second)
    found, = [i for i in STRIPE.audit()["invoices"] if i["tollway_invoice"] == acme]
    assert (found["standing"], found["void"]) == ([], 1)


def test_what_did_not_begin_to_execute_keeps_no_key():
    acme = customer()
    options = {"idempotencyKey": acme}
    STRIPE.key("rk_test_poor", without=["rak_invoice_write"])
    refusal("invoices.create", {"customer": acme}, options, key="rk_test_poor")
    refusal("invoices.create", {"customer": acme, "more": 1}, options)
    STRIPE.fault({"match": "POST /v1/invoices", "do": "status", "status": 429})
    assert refusal("invoices.create", {"customer": acme}, options).type == "StripeRateLimitError"
    made = SDK("invoices.create", {"customer": acme}, options)["id"]
    assert invoices_of(acme) == [made]


def test_of_two_requests_at_once_one_is_told_so():
    acme = customer()
    STRIPE.fault({"match": "POST /v1/invoices", "do": "delay", "ms": 1500, "times": 2})
    create = SDK.call("invoices.create", {"customer": acme}, {"idempotencyKey": acme})
    answers = SDK.at_once(create, create)
    STRIPE.fault()
    made, = [a["value"]["id"] for a in answers if "value" in a]
    error, = [a["error"] for a in answers if "error" in a]
    assert (error["status"], error["code"]) == (409, "idempotency_key_in_use")
    assert SDK("invoices.create", {"customer": acme}, {"idempotencyKey": acme})["id"] == made
    assert invoices_of(acme) == [made]


def test_faults_strike_as_their_rules_say():
    STRIPE.fault({"match": "GET /v1/customers/*", "do": "status", "status": 503, "skip": 1, "times": 2})
    acme = customer()

    def get():
        answer, = SDK.at_once(SDK.call("customers.retrieve", acme))
        return "value" in answer
    assert [get() for _ in range(5)] == [True, False, False, True, True]
    drawn = []
    for _ in range(2):
        STRIPE.fault({"match": "* /v1/**", "do": "status", "status": 503, "probability": 0.5, "seed": 7, "times": None})
        drawn.append([get() for _ in range(20)])
    STRIPE.fault()
    assert drawn[0] == drawn[1] and 0 < sum(drawn[0]) < 20


def test_accounts_and_modes_are_apart():
    STRIPE.key("sk_test_other", account="acct_other")
    acme = customer()
    assert SDK("accounts.retrieveCurrent", key="sk_test_other")["id"] == "acct_other"
    for key in ("sk_test_other", "sk_live_1"):
        assert refusal("customers.retrieve", acme, key=key).status == 404
    assert SDK("customers.create", {}, key="sk_live_1")["livemode"] is True


if __name__ == "__main__":
    if not shutil.which("node") or not shutil.which("npm"):
        print("skipped: node and npm aren't installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="tollway-sdk-") as folder:
        folder = pathlib.Path(folder)
        if not install(folder):
            print("skipped: npm can't install the Stripe SDK here")
            sys.exit(77)
        declared = folder / "node_modules/stripe/esm"
        TYPES = Interfaces(declared / "shared.d.ts", *[declared / "resources" / f"{name}.d.ts" for name in
                                                       ("Accounts", "Customers", "Invoices", "InvoiceLineItems")])
        SDK = Sdk(folder)
        with StripeSim() as STRIPE:
            try:
                main(sys.modules["__main__"])
            finally:
                SDK.stop()
