"""What happens to a request between the socket and its endpoint, and what tests may ask and change.

In this order: faults at the door, the account's key, endpoint, rate, permission, parameters, idempotency
key; then it is executed, one at a time.
"""
import contextlib
import hashlib
import itertools
import json
import re
import threading
import time
import urllib.parse

import stripe_endpoints
from stripe_faults import Fault, Limits
from stripe_form import Refusal, Table, decode, invalid
from stripe_keys import KeyStore
from stripe_objects import Account

VERSION = "2026-10-28.endive"
ACCOUNT = "acct_1SimulatedStripe"
API_KEY = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9_]+")


class Answer:
    """Of its content so many bytes are sent, all if None, and the connection closes where that isn't all."""

    def __init__(self, status, content, headers):
        self.status, self.content, self.headers = status, content, headers
        self.is_sent, self.bytes = True, None


class Request:
    def __init__(self, method, target, headers, body):
        split = urllib.parse.urlsplit(target)
        self.method, self.path, self.headers, self.body = method, split.path, headers, body
        self.form = body.decode("utf-8", "surrogateescape") if method == "POST" else split.query
        # Keys have no effect on other methods.
        self.key = headers.get("Idempotency-Key") if method == "POST" else None


class Service:
    def __init__(self):
        self.lock = threading.RLock()
        self.advanced = 0
        self.accounts, self.stores = {}, {}
        self.keys, self.faults, self.limits, self.log = {}, [], Limits(), []
        self.numbers = {}

    def clock(self):
        return time.time() + self.advanced

    def new_id(self, kind):
        """in_1Sim000000000007: the same ones in the same order."""
        return f"{kind}_1Sim{next(self.numbers.setdefault(kind, itertools.count(1))):012}"

    # --- one request ---

    def answer(self, request):
        entry, fault = self.arrive(request)
        headers = {"Request-Id": entry["request_id"], "Stripe-Version": request.headers.get("Stripe-Version", VERSION)}
        if request.key:
            headers["Idempotency-Key"] = request.key
        answer, more = Answer(None, b"", headers), {}
        if fault and fault.do == "before":
            answer.is_sent = False
            return answer
        try:
            answer.status, answer.content, more = self.respond(request, entry, fault)
        except Refusal as refusal:
            answer.status, answer.content, more = refusal.status, written(refusal.body), refusal.headers
        answer.headers |= more
        if fault and fault.do in ("after", "cut"):
            answer.is_sent, answer.bytes = fault.do == "cut", fault.bytes
        with self.lock:
            entry |= {"status": answer.status, "replayed": "Idempotent-Replayed" in more}
            if answer.status >= 400:
                entry["error"] = json.loads(answer.content)["error"].get("code")
        return answer

    def arrive(self, request):
        with self.lock:
            fault = next((f for f in self.faults if f.strikes(request.method, request.path)), None)
            entry = {"n": len(self.log) + 1, "at": self.clock(), "method": request.method, "path": request.path,
                     "query": request.form if request.method != "POST" else "", "key": request.key,
                     "digest": hashlib.sha256(request.body).hexdigest(), "fault": fault.do if fault else None,
                     "request_id": f"req_{len(self.log) + 1:014}", "status": None, "error": None, "replayed": False}
            self.log.append(entry)
            return entry, fault

    def respond(self, request, entry, fault):
        if fault and fault.is_at_the_door():
            raise fault.refusal()
        with self.lock:
            account, store = self.authenticate(request)
            self.check_version(request)
            endpoint, idents = stripe_endpoints.find(request.method, request.path)
            self.limits.check((account.id, account.livemode), f"{endpoint.method} {endpoint.path}")
            self.check_permission(request, account, endpoint)
            given = endpoint.parameters("", decode(request.form))
            kept = store.begin(request.key, request.method, request.path, given, self.clock()) if request.key else None
            if kept:
                return *kept.answer, {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
        with self.taken(store, request.key, entry) as outcome:
            if fault and fault.ms:
                time.sleep(fault.ms / 1000)
            return self.execute(endpoint, (account, *idents, given), fault, outcome)

    @contextlib.contextmanager
    def taken(self, store, key, entry):
        """Whatever the outcome says is kept when it ends."""
        outcome = {}
        try:
            yield outcome
        finally:
            with self.lock:
                if key:
                    store.end(key, outcome.get("kept"), entry["request_id"])

    def execute(self, endpoint, arguments, fault, outcome):
        injected = fault.refusal() if fault and fault.do == "status" else None
        try:
            with self.lock:
                if injected and not fault.is_executed:
                    raise injected
                content = written(endpoint.run(*arguments))
                if injected:
                    raise injected
        except Refusal as refusal:
            if refusal.is_kept:
                outcome["kept"] = refusal.status, written(refusal.body)
            raise
        outcome["kept"] = 200, content
        return 200, content, {}

    def account_of(self, ident, livemode):
        if (ident, livemode) not in self.accounts:
            self.accounts[ident, livemode] = Account(ident, livemode, self.clock, self.new_id)
            self.stores[ident, livemode] = KeyStore()
        return self.accounts[ident, livemode], self.stores[ident, livemode]

    def authenticate(self, request):
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            raise Refusal(401, "You did not provide an API key. You need to provide your API key in the Authorization "
                          "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
        known, match = self.keys.get(key, {}), API_KEY.fullmatch(key)
        if not match:
            raise Refusal(401, f"Invalid API Key provided: {masked(key)}")
        if known.get("revoked"):
            raise Refusal(401, f"Expired API Key provided: {masked(key)}", "api_key_expired")
        return self.account_of(known.get("account", ACCOUNT), match.group(2) == "live")

    @staticmethod
    def check_version(request):
        version = request.headers.get("Stripe-Version", VERSION)
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z]+)?", version):
            raise invalid(f"Invalid Stripe API version: {version}")

    def check_permission(self, request, account, endpoint):
        key = request.headers["Authorization"].partition(" ")[2]
        if key.startswith("rk_") and endpoint.permission in self.keys.get(key, {}).get("without", ()):
            raise Refusal(403, f"The provided key '{masked(key)}' does not have the required permissions for this "
                          f"endpoint on account '{account.id}'. Having the '{endpoint.permission}' permission would "
                          "allow this request to continue.")

    # --- what tests ask and change: /_sim/NAME, by GET or POST ---

    def control(self, method, name, given):
        with self.lock:
            return written(getattr(self, f"{method.lower()}_{name}")(**given))

    def get_log(self):
        return list(self.log)

    def get_state(self):
        return {"now": self.clock(), "accounts": {
            f"{ident}/{'live' if livemode else 'test'}": {
                "customers": [account.show_customer(c) for c in account.customers.values()],
                "invoices": [account.show_invoice(i) | {"lines": account.lines[i["id"]]}
                             for i in account.invoices.values()],
            } for (ident, livemode), account in self.accounts.items()}}

    def get_audit(self):
        """Of each of a customer's invoices of ours, what stands for it; and keys with two meanings."""
        invoices, uses = {}, {}
        for (ident, livemode), account in self.accounts.items():
            for invoice in account.invoices.values():
                ours = invoice["metadata"].get("tollway_invoice")
                name = ident, livemode, invoice["customer"], ours
                found = invoices.setdefault(name, {
                    "account": ident, "livemode": livemode, "customer": invoice["customer"],
                    "tollway_invoice": ours, "standing": [], "void": 0})
                if invoice["status"] == "void":
                    found["void"] += 1
                else:
                    found["standing"].append({name: account.show_invoice(invoice)[name] for name in
                                              ("id", "status", "number", "currency", "total", "metadata")} |
                                             {"lines": account.lines[invoice["id"]]})
        for entry in self.log:
            if entry["key"]:
                uses.setdefault(entry["key"], set()).add((entry["path"], entry["digest"]))
        return {"invoices": list(invoices.values()),
                "reused_keys": {key: sorted(found) for key, found in uses.items() if len(found) > 1}}

    def get_parameters(self):
        def names(table):
            return {field: names(kind) if isinstance(kind, Table) else None for field, kind in table.fields.items()}
        return {f"{e.method} {e.path}": names(e.parameters) for e in stripe_endpoints.ENDPOINTS}

    def post_faults(self, rules):
        """In place of those before; they are tried in order, and the first that strikes a request counts."""
        self.faults = [Fault(**rule) for rule in rules]

    def post_clock(self, advance):
        self.advanced += advance
        for account in self.accounts.values():
            account.pass_time()

    def post_keys(self, key, **more):
        """`account`, `without` (permissions), `revoked`."""
        self.keys[key] = more

    def post_limits(self, **rates):
        self.limits = Limits(**rates)

    def post_collect(self, invoice=None):
        return [ident for account in self.accounts.values() for ident in account.collect(invoice)]


def written(body):
    return (json.dumps(body) + "\n").encode()


def masked(key):
    return key[:8] + "*" * 10 + key[-4:]
