"""An account in one mode: its customers and invoices, and what may become of them.

draft → open → paid | uncollectible | void; uncollectible → paid | void; a draft can also be deleted.
"""
import hashlib

from stripe_form import Refusal
from stripe_money import CHARGE_MAX, check_amount, is_below_minimum

LINES_MAX = 250
LINES_SHOWN = 10  # in an invoice; the others are listed
DAY_S = 24 * 3600
AUTO_FINALIZE_S = 3600
DEFAULT_CURRENCY = "usd"
# Test tokens of a customer's card: charged, refused at once, and refused when it is charged.
CARDS = ("tok_visa", "tok_chargeDeclined", "tok_chargeCustomerFail")


def refused(message, code=None, param=None, status=400, **more):
    """By an endpoint, while it executes."""
    return Refusal(status, message, code, param, is_kept=True, **more)


def card_declined():
    return refused("Your card was declined.", "card_declined", status=402, kind="card_error",
                   decline_code="generic_decline")


class Account:
    def __init__(self, ident, livemode, clock, new_id):
        self.id, self.livemode, self.clock, self.new_id = ident, livemode, clock, new_id
        self.customers, self.invoices, self.lines = {}, {}, {}

    def now(self):
        return int(self.clock())

    def show(self):
        return {"id": self.id, "object": "account", "business_type": "company", "charges_enabled": True,
                "country": "US", "default_currency": DEFAULT_CURRENCY, "details_submitted": True,
                "payouts_enabled": True, "type": "standard"}

    # --- customers ---

    def make_customer(self, given):
        source = given.get("source")
        if source is not None and source not in CARDS:
            raise refused(f"No such token: '{source}'", "resource_missing", "source")
        if source == "tok_chargeDeclined":
            raise card_declined()
        ident = self.new_id("cus")
        made = {"id": ident, "object": "customer", "address": None, "created": self.now(), "currency": None,
                "default_source": f"card_{source}" if source else None, "delinquent": False, "description": None,
                "email": None, "invoice_prefix": hashlib.sha256(ident.encode()).hexdigest()[:8].upper(),
                "livemode": self.livemode, "metadata": {}, "name": None, "next_invoice_sequence": 1,
                "phone": None, "preferred_locales": [], "tax_exempt": "none"}
        made |= {name: value for name, value in given.items() if name not in ("source", "balance")}
        made["balances"] = {DEFAULT_CURRENCY: given.get("balance", 0)}  # over zero: owed to the account
        self.customers[ident] = made
        return self.show_customer(made)

    def show_customer(self, customer):
        if customer.get("deleted"):
            return {"id": customer["id"], "object": "customer", "deleted": True}
        shown = {name: value for name, value in customer.items() if name != "balances"}
        return shown | {"balance": customer["balances"].get(customer["currency"] or DEFAULT_CURRENCY, 0)}

    def customer(self, ident):
        if ident not in self.customers:
            raise refused(f"No such customer: '{ident}'", "resource_missing", "id", status=404)
        return self.customers[ident]

    def delete_customer(self, ident):
        self.customer(ident)["deleted"] = True
        return self.show_customer(self.customer(ident))

    # --- drafts ---

    def make_invoice(self, given):
        customer = self.customers.get(given["customer"])
        if customer is None or customer.get("deleted"):
            raise refused(f"No such customer: '{given['customer']}'", "resource_missing", "customer")
        self.check_terms(given, customer)
        now, days = self.now(), given.get("days_until_due")
        made = {"id": self.new_id("in"), "object": "invoice", "auto_advance": False, "attempt_count": 0,
                "attempted": False, "automatic_tax": {"enabled": False, "status": None},
                "billing_reason": "manual", "collection_method": "charge_automatically", "created": now,
                "currency": customer["currency"] or DEFAULT_CURRENCY, "custom_fields": None,
                "customer_email": customer["email"], "customer_name": customer["name"], "description": None,
                "due_date": now + days * DAY_S if days is not None else None, "effective_at": None,
                "ending_balance": None, "footer": None, "hosted_invoice_url": None,
                "last_finalization_error": None, "livemode": self.livemode, "metadata": {}, "number": None,
                "period_end": now, "period_start": now, "status": "draft",
                "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at",
                                                     "voided_at"))}
        made |= {name: value for name, value in given.items()
                 if name not in ("days_until_due", "pending_invoice_items_behavior", "automatic_tax")}
        made["automatically_finalizes_at"] = now + AUTO_FINALIZE_S if made["auto_advance"] else None
        customer["currency"] = customer["currency"] or made["currency"]
        self.invoices[made["id"]], self.lines[made["id"]] = made, []
        return self.show_invoice(made)

    def check_terms(self, given, customer):
        if given.get("automatic_tax", {}).get("enabled"):
            raise refused("You must have a valid head office address to enable automatic tax calculation.",
                          param="automatic_tax[enabled]")
        is_due = "days_until_due" in given or "due_date" in given
        if given.get("collection_method") == "send_invoice":
            if not is_due:
                raise refused("If invoice `collection_method` is `send_invoice`, you must specify either "
                              "`due_date` or `days_until_due`.")
            if not customer["email"]:
                raise refused("Missing email. In order to create invoices that are sent to the customer, the "
                              "customer must have a valid email.")
        elif is_due:
            raise refused("You can only specify `days_until_due` or `due_date` if invoice `collection_method` is "
                          "`send_invoice`.")

    def invoice(self, ident):
        if ident not in self.invoices:
            raise refused(f"No such invoice: '{ident}'", "resource_missing", "invoice", status=404)
        return self.invoices[ident]

    def draft(self, ident, message):
        if self.invoice(ident)["status"] != "draft":
            raise refused(message, "invoice_not_editable")
        return self.invoices[ident]

    def add_lines(self, ident, given):
        invoice = self.draft(ident, "Finalized invoices can't be updated in this way")
        held, new = self.lines[ident], given["lines"]
        if len(held) + len(new) > LINES_MAX:
            raise refused(f"An invoice can have at most {LINES_MAX} line items; this one has {len(held)}.",
                          param="lines")
        for i, line in enumerate(new):  # all or none of them
            self.check_line(line, invoice, f"lines[{i}]")
        held += [self.make_line(line, invoice) for line in new]
        invoice["metadata"] |= given.get("invoice_metadata", {})
        return self.show_invoice(invoice)

    @staticmethod
    def check_line(line, invoice, param):
        if "quantity" in line and "amount" in line:
            raise refused("You may only specify one of these parameters: amount, quantity.", param=param)
        if "amount" not in line:
            raise refused("You must specify an amount or a price.", "parameter_missing", f"{param}[amount]")
        check_amount(line["amount"], invoice["currency"], f"{param}[amount]")
        period = line.get("period")
        if period and period["end"] < period["start"]:
            raise refused("The period's end must be greater than or equal to its start.", param=f"{param}[period]")

    def make_line(self, line, invoice):
        now = self.now()
        parent = {"invoice_item_details": {"invoice_item": self.new_id("ii"), "proration": False,
                                           "proration_details": None, "subscription": None},
                  "subscription_item_details": None, "type": "invoice_item_details"}
        return {"id": self.new_id("il"), "object": "line_item", "amount": line["amount"],
                "currency": invoice["currency"], "description": line.get("description"), "discount_amounts": [],
                "discountable": line.get("discountable", line["amount"] >= 0), "discounts": [],
                "invoice": invoice["id"], "livemode": self.livemode, "metadata": line.get("metadata", {}),
                "parent": parent, "period": line.get("period", {"end": now, "start": now}),
                "pretax_credit_amounts": [], "pricing": None, "quantity": 1, "quantity_decimal": "1",
                "subscription": None, "subtotal": line["amount"], "taxes": []}

    def delete_invoice(self, ident):
        self.draft(ident, "You can only delete draft invoices.")
        del self.invoices[ident], self.lines[ident]
        return {"id": ident, "object": "invoice", "deleted": True}

    # --- sums ---

    def total(self, invoice):
        return sum(line["amount"] for line in self.lines[invoice["id"]])

    def balance(self, invoice):
        return self.customers[invoice["customer"]]["balances"].get(invoice["currency"], 0)

    def sums(self, invoice):
        """What is due is the total and what the customer's balance says, if that can be charged."""
        total = self.total(invoice)
        starting = invoice.get("starting_balance", self.balance(invoice))
        due = 0 if is_below_minimum(total + starting, invoice["currency"]) else total + starting
        paid = due if invoice["status"] == "paid" else 0
        return {"amount_due": due, "amount_overpaid": 0, "amount_paid": paid, "amount_remaining": due - paid,
                "starting_balance": starting, "subtotal": total, "subtotal_excluding_tax": total, "total": total,
                "total_excluding_tax": total, "total_taxes": [], "total_discount_amounts": []}

    def show_invoice(self, invoice):
        lines = self.lines[invoice["id"]]
        shown = {"object": "list", "data": lines[:LINES_SHOWN], "has_more": len(lines) > LINES_SHOWN,
                 "url": f"/v1/invoices/{invoice['id']}/lines"}
        return {**invoice, **self.sums(invoice), "lines": shown}

    # --- what becomes of a draft ---

    def finalize(self, ident, given):
        invoice = self.draft(ident, "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
        customer = self.customers[invoice["customer"]]
        invoice["auto_advance"] = given.get("auto_advance", invoice["auto_advance"])
        invoice["automatically_finalizes_at"] = None
        sums = self.sums(invoice)
        invoice["starting_balance"] = sums["starting_balance"]
        invoice["ending_balance"] = sums["starting_balance"] + sums["total"] - sums["amount_due"]
        customer["balances"][invoice["currency"]] = invoice["ending_balance"]
        invoice["number"] = invoice["number"] or f"{customer['invoice_prefix']}-" \
                                                 f"{customer['next_invoice_sequence']:04}"
        customer["next_invoice_sequence"] += 1
        invoice["effective_at"] = invoice["effective_at"] or self.now()
        invoice["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{self.id}/{ident}"
        self.become(invoice, "open", "finalized_at")
        if sums["amount_due"] == 0:
            self.settle(invoice)
        return self.show_invoice(invoice)

    def become(self, invoice, status, transition):
        invoice["status"] = status
        invoice["status_transitions"][transition] = self.now()

    def settle(self, invoice):
        invoice["attempted"] = True
        self.become(invoice, "paid", "paid_at")

    def pay(self, ident, given):
        invoice = self.invoice(ident)
        if invoice["status"] == "draft":
            self.finalize(ident, {})
        elif invoice["status"] == "paid":
            raise refused("Invoice is already paid", "invoice_already_paid")
        elif invoice["status"] == "void":
            raise refused("You can only pay open invoices. This invoice is void.", "invoice_not_editable")
        if invoice["status"] != "paid":
            if not given.get("paid_out_of_band"):
                self.charge(invoice)
            self.settle(invoice)
        return self.show_invoice(invoice)

    def charge(self, invoice):
        invoice["attempt_count"] += 1
        invoice["attempted"] = True
        source = self.customers[invoice["customer"]]["default_source"]
        if source is None:
            raise refused("There is no `default_payment_method` set on this Customer or Invoice. Please ensure "
                          "that the Customer has one.", "resource_missing")
        if self.sums(invoice)["amount_due"] > CHARGE_MAX:
            raise refused(f"Amount must be no more than {CHARGE_MAX}", "amount_too_large", "amount")
        if source == "card_tok_chargeCustomerFail":
            raise card_declined()

    def void(self, ident):
        invoice = self.of_status(ident, ("open", "uncollectible"))
        balances = self.customers[invoice["customer"]]["balances"]
        balances[invoice["currency"]] += invoice["starting_balance"] - invoice["ending_balance"]
        self.become(invoice, "void", "voided_at")
        return self.show_invoice(invoice)

    def mark_uncollectible(self, ident):
        invoice = self.of_status(ident, ("open",))
        self.become(invoice, "uncollectible", "marked_uncollectible_at")
        return self.show_invoice(invoice)

    def of_status(self, ident, statuses):
        if self.invoice(ident)["status"] not in statuses:
            raise refused("You can only pass in open invoices. This invoice isn't open.", "invoice_not_editable")
        return self.invoices[ident]

    # --- what happens by itself ---

    def pass_time(self):
        """An hour after it was made, a draft that advances by itself is finalised."""
        for invoice in self.invoices.values():
            at = invoice["automatically_finalizes_at"]
            if invoice["status"] == "draft" and at is not None and at <= self.now():
                self.finalize(invoice["id"], {})

    def collect(self, ident=None):
        """Customers pay: one invoice, or each open one that Stripe collects by itself."""
        paid = [invoice for invoice in self.invoices.values() if invoice["status"] == "open" and
                (invoice["id"] == ident if ident else invoice["auto_advance"])]
        for invoice in paid:
            self.settle(invoice)
        return [invoice["id"] for invoice in paid]
