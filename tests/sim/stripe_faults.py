"""What goes wrong on purpose: faults by rule, and limits on the rate of requests.

A rule is {"match": "POST /v1/invoices/*/add_lines", "do": …} and, as it likes:

  skip         how many requests that match it lets pass first
  times        how often it strikes; 1 unless given, null for ever
  probability  of striking a request that matches, drawn from `seed`
  ms           how long the request waits amid its execution (its key is taken then)

`*` stands for one segment of a path, `**` for all that follows, and `*` for any method. `do` is

  before       the connection closes, nothing was executed
  after        all is executed, then the connection closes without an answer
  cut          all is executed, then the answer ends after `bytes` bytes of its body
  status       `status` is answered, with `code`, `retry_after` (s) and `should_retry` as given; executed
               all the same if `is_executed`; kept under the key if `is_kept`, as a 500 is unless it says
               otherwise. Neither: it comes from the door, to requests whose answer is kept, too
  delay        nothing but the wait
"""
import random
import re
import time

from stripe_form import Refusal

LOCK_TIMEOUT = ("This object cannot be accessed right now because another API request or Stripe process is currently "
                "accessing it. If you see this error intermittently, retry the request. If you see this error "
                "frequently and are making multiple concurrent requests to a single object, make your requests "
                "serially or at a lower rate. See https://docs.stripe.com/rate-limits for more details.")
RATE_LIMIT = "Request rate limit exceeded. Learn more about rate limits here: https://docs.stripe.com/rate-limits."
KINDS = ("before", "after", "cut", "status", "delay")


class Fault:
    def __init__(self, match, do, times=1, skip=0, probability=1, seed=0, ms=0, bytes=0, status=500, code=None,
                 retry_after=None, should_retry=None, is_executed=False, is_kept=None):
        if do not in KINDS:
            raise ValueError(f"do: one of {', '.join(KINDS)}")
        method, path = match.split(" ", 1)
        pattern = re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")
        self.pattern = re.compile(("[A-Z]+" if method == "*" else re.escape(method)) + " " + pattern)
        self.do, self.times, self.skip, self.ms, self.bytes = do, times, skip, ms, bytes
        self.probability, self.random = probability, random.Random(seed)
        self.status, self.code, self.is_executed = status, code, is_executed
        self.is_kept = status == 500 if is_kept is None else is_kept
        self.retry_after, self.should_retry = retry_after, should_retry

    def strikes(self, method, path):
        if self.times == 0 or not self.pattern.fullmatch(f"{method} {path}"):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def is_at_the_door(self):
        return self.do == "status" and not (self.is_executed or self.is_kept)

    def refusal(self):
        code, should_retry = self.code, self.should_retry
        if self.status == 429:
            code = code or "rate_limit"
            should_retry = True if code == "lock_timeout" and should_retry is None else should_retry
        message = {"rate_limit": RATE_LIMIT, "lock_timeout": LOCK_TIMEOUT}.get(
            code, "An unknown error occurred. Please try again.")
        headers = {"Retry-After": None if self.retry_after is None else str(self.retry_after),
                   "Stripe-Should-Retry": None if should_retry is None else str(should_retry).lower()}
        return Refusal(self.status, message, code, kind="api_error" if self.status >= 500 else
                       "invalid_request_error", is_kept=self.is_kept,
                       headers={name: value for name, value in headers.items() if value is not None})


class Limits:
    """Requests a second, of the account and of each of its endpoints; None: as many as come."""

    def __init__(self, account=None, endpoint=None):
        self.account, self.endpoint, self.buckets = account, endpoint, {}

    def check(self, account, endpoint):
        now = time.monotonic()
        rates = (((account,), self.account), ((account, endpoint), self.endpoint))
        for name, rate in rates:
            if rate is not None and self.tokens(name, rate, now) < 1:
                raise Refusal(429, RATE_LIMIT, "rate_limit")
        for name, rate in rates:
            if rate is not None:
                self.buckets[name] = (self.tokens(name, rate, now) - 1, now)

    def tokens(self, name, rate, now):
        tokens, filled = self.buckets.get(name, (rate, now))
        return min(rate, tokens + (now - filled) * rate)
