"""The endpoints that are modelled: which parameters each takes, which permission it needs, what it does.

Parameters that Stripe takes and this doesn't model are refused like unknown ones.
"""
import collections
import re

from stripe_form import Refusal, Table, boolean, choice, integer, listed, metadata, text
from stripe_money import currency
from stripe_objects import LINES_MAX, refused

STATUSES = ("draft", "open", "paid", "uncollectible", "void")
TIME = integer(0)
ID = text(255)

CUSTOMER = Table(
    address=Table(city=text(), country=text(), line1=text(), line2=text(), postal_code=text(), state=text()),
    balance=integer(), description=text(), email=text(512), metadata=metadata, name=text(256), phone=text(20),
    preferred_locales=listed(text(), 10), source=text(), tax_exempt=choice("none", "exempt", "reverse"))
INVOICE = Table(
    required=("customer",),
    auto_advance=boolean, automatic_tax=Table(("enabled",), enabled=boolean),
    collection_method=choice("charge_automatically", "send_invoice"), currency=currency,
    custom_fields=listed(Table(("name", "value"), name=text(40), value=text(140)), 4), customer=ID,
    days_until_due=integer(0), description=text(1500), due_date=TIME, effective_at=TIME, footer=text(5000),
    metadata=metadata, number=text(26), pending_invoice_items_behavior=choice("exclude", "include"))
LINE = Table(
    amount=integer(), description=text(5000), discountable=boolean, metadata=metadata,
    period=Table(("end", "start"), end=TIME, start=TIME), quantity=integer(0))
ADD_LINES = Table(("lines",), lines=listed(LINE, LINES_MAX), invoice_metadata=metadata)
FINALIZE = Table(auto_advance=boolean)
PAY = Table(paid_out_of_band=boolean)
NOTHING = Table()


def interval(name, value):
    if isinstance(value, str):
        return {"gte": TIME(name, value), "lte": TIME(name, value)}
    return Table(gt=TIME, gte=TIME, lt=TIME, lte=TIME)(name, value)


PAGE = {"limit": integer(1, 100), "starting_after": ID}
CUSTOMERS = Table(created=interval, email=text(512), **PAGE)
INVOICES = Table(collection_method=choice("charge_automatically", "send_invoice"), created=interval, customer=ID,
                 status=choice(*STATUSES), **PAGE)
LINES = Table(**PAGE)


def is_created_within(item, given):
    bounds = given.get("created", {})
    return (bounds.get("gt", -1) < item["created"] < bounds.get("lt", 10**18) and
            bounds.get("gte", 0) <= item["created"] <= bounds.get("lte", 10**18))


def page(items, given, url, show=lambda item: item):
    start = 0
    if "starting_after" in given:
        idents = [item["id"] for item in items]
        if given["starting_after"] not in idents:
            raise refused(f"No such object: '{given['starting_after']}'", "resource_missing", "starting_after")
        start = idents.index(given["starting_after"]) + 1
    end = start + given.get("limit", 10)
    return {"object": "list", "data": [show(item) for item in items[start:end]], "has_more": end < len(items),
            "url": url}


def list_customers(account, given):
    found = [customer for customer in reversed(account.customers.values())
             if not customer.get("deleted") and is_created_within(customer, given) and
             given.get("email", customer["email"]) == customer["email"]]
    return page(found, given, "/v1/customers", account.show_customer)


def list_invoices(account, given):
    """Newest first. A customer that is deleted still has invoices; one that never was is refused."""
    if given.get("customer") not in (None, *account.customers):
        raise refused(f"No such customer: '{given['customer']}'", "resource_missing", "customer")
    found = [invoice for invoice in reversed(account.invoices.values())
             if is_created_within(invoice, given) and
             all(given.get(name, invoice[name]) == invoice[name]
                 for name in ("collection_method", "customer", "status"))]
    return page(found, given, "/v1/invoices", account.show_invoice)


def list_lines(account, ident, given):
    """In the order in which they were added."""
    account.invoice(ident)
    return page(account.lines[ident], given, f"/v1/invoices/{ident}/lines")


Endpoint = collections.namedtuple("Endpoint", "method path permission parameters run")
ENDPOINTS = [Endpoint(*row) for row in (
    ("GET", "/v1/account", "rak_accounts_kyc_basic_read", NOTHING, lambda a, p: a.show()),
    ("POST", "/v1/customers", "rak_customer_write", CUSTOMER, lambda a, p: a.make_customer(p)),
    ("GET", "/v1/customers", "rak_customer_read", CUSTOMERS, list_customers),
    ("GET", "/v1/customers/{}", "rak_customer_read", NOTHING, lambda a, i, p: a.show_customer(a.customer(i))),
    ("DELETE", "/v1/customers/{}", "rak_customer_write", NOTHING, lambda a, i, p: a.delete_customer(i)),
    ("POST", "/v1/invoices", "rak_invoice_write", INVOICE, lambda a, p: a.make_invoice(p)),
    ("GET", "/v1/invoices", "rak_invoice_read", INVOICES, list_invoices),
    ("GET", "/v1/invoices/{}", "rak_invoice_read", NOTHING, lambda a, i, p: a.show_invoice(a.invoice(i))),
    ("DELETE", "/v1/invoices/{}", "rak_invoice_write", NOTHING, lambda a, i, p: a.delete_invoice(i)),
    ("POST", "/v1/invoices/{}/add_lines", "rak_invoice_write", ADD_LINES, lambda a, i, p: a.add_lines(i, p)),
    ("GET", "/v1/invoices/{}/lines", "rak_invoice_read", LINES, list_lines),
    ("POST", "/v1/invoices/{}/finalize", "rak_invoice_write", FINALIZE, lambda a, i, p: a.finalize(i, p)),
    ("POST", "/v1/invoices/{}/pay", "rak_invoice_write", PAY, lambda a, i, p: a.pay(i, p)),
    ("POST", "/v1/invoices/{}/void", "rak_invoice_write", NOTHING, lambda a, i, p: a.void(i)),
    ("POST", "/v1/invoices/{}/mark_uncollectible", "rak_invoice_write", NOTHING,
     lambda a, i, p: a.mark_uncollectible(i)),
)]


def find(method, path):
    """The endpoint and the ids in its path."""
    for endpoint in ENDPOINTS:
        match = re.fullmatch(re.escape(endpoint.path).replace(r"\{\}", "([^/]+)"), path)
        if match and endpoint.method == method:
            return endpoint, match.groups()
    raise Refusal(404, f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can "
                  "help at https://support.stripe.com/.")
