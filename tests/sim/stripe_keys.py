"""Idempotency keys, as version 1 of Stripe's API holds them.

The first request under a key decides: its answer is kept, whatever it was, and given again to each one
like it, for a day. What was refused before an endpoint began to execute isn't kept.
"""
from stripe_form import Refusal, invalid

KEPT_S = 24 * 3600
KEY_MAX = 255
RUNNING = object()


class Kept:
    def __init__(self, method, path, parameters, now):
        self.request, self.since = (method, path, parameters), now
        self.answer, self.request_id = RUNNING, None


class KeyStore:
    def __init__(self):
        self.kept = {}

    def begin(self, key, method, path, parameters, now):
        """None, and the key is taken; or what is kept of a request like this one."""
        if not 0 < len(key) <= KEY_MAX:
            raise invalid(f"Idempotency keys have 1 to {KEY_MAX} characters.")
        found = self.kept.get(key)
        if found is None or (found.answer is not RUNNING and now - found.since >= KEPT_S):
            self.kept[key] = Kept(method, path, parameters, now)
            return None
        if found.request[:2] != (method, path):
            raise mismatch("for the same endpoint they were first used for "
                           f"('{path}' vs '{found.request[1]}')", key)
        if found.request[2] != parameters:
            raise mismatch("with the same parameters they were first used with", key)
        if found.answer is RUNNING:
            raise Refusal(409, "There is currently another in-progress request using this Idempotent Key (that "
                          "probably means you submitted twice, and the other request is still going through): "
                          f"{key}. Please try again later.", "idempotency_key_in_use")
        return found

    def end(self, key, answer, request_id):
        """An answer to keep; None where nothing was executed."""
        if answer is None:
            del self.kept[key]
        else:
            self.kept[key].answer, self.kept[key].request_id = answer, request_id


def mismatch(what, key):
    return Refusal(400, f"Keys for idempotent requests can only be used {what}. Try using a key other than '{key}' "
                   "if you meant to execute a different request.", kind="idempotency_error")
