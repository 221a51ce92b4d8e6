"""Currencies as Stripe takes them. Amounts are integers, in what Stripe counts a currency in."""
from stripe_form import Refusal, invalid, only_text

CURRENCIES = frozenset("""
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp cny
    cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg huf idr ils inr isk
    jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn
    nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std
    szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw""".split())
# Three decimals, of which banks move two; no decimals, though Stripe counts two.
THREE_DECIMALS = frozenset("bhd jod kwd omr tnd".split())
WHOLE_OF_TWO_DECIMALS = frozenset("isk ugx".split())
# Less can't be charged: it is put on the customer's balance. Others have one, too, of about these.
MINIMUM_CHARGE = {"usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
                  "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
                  "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000}
CHARGE_MAX = 99_999_999


def currency(name, value):
    if only_text(name, value).lower() not in CURRENCIES:
        raise invalid(f"Invalid currency: {value}. Stripe currently supports these currencies: "
                      f"{', '.join(sorted(CURRENCIES))}", param=name)
    return value.lower()


def check_amount(amount, unit, param):
    step = 10 if unit in THREE_DECIMALS else 100 if unit in WHOLE_OF_TWO_DECIMALS else 1
    if amount % step:
        raise Refusal(400, f"Invalid amount. The amount {amount} of {unit} must be evenly divisible by {step}.",
                      "parameter_invalid_integer", param, is_kept=True)


def is_below_minimum(amount, unit):
    return amount < MINIMUM_CHARGE.get(unit, 1)
