"""Forms as Stripe reads them: nested keys, and parameters that a table allows."""
import re
import urllib.parse

NESTED = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500
TEXT_MAX = 5000


class Refusal(Exception):
    """An answer that isn't 2xx. It is kept under the request's idempotency key if its endpoint had
    begun to execute."""

    def __init__(self, status, message, code=None, param=None, *, kind="invalid_request_error", is_kept=False,
                 headers=(), **more):
        super().__init__(message)
        error = {"type": kind, "code": code, "message": message, "param": param, **more}
        self.body = {"error": {name: value for name, value in error.items() if value is not None}}
        self.status, self.is_kept, self.headers = status, is_kept, dict(headers)


def invalid(message, code=None, param=None):
    return Refusal(400, message, code, param)


# --- form → tree ---

def decode(text):
    """`a[b][0][c]=d` → {"a": {"b": {"0": {"c": "d"}}}}; which of these are lists is the table's business."""
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict", encoding="utf-8")
    except UnicodeDecodeError:
        raise invalid("Invalid UTF-8 in the request's parameters") from None
    tree = {}
    for name, value in pairs:
        match = NESTED.fullmatch(name)
        if not match:
            raise invalid(f"Invalid parameter name: {name}", param=name)
        put(tree, [match.group(1), *re.findall(r"\[([^\]]*)\]", match.group(2))], value, name)
    return tree


def put(tree, path, value, name):
    for step in path[:-1]:
        tree = tree.setdefault(step or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise invalid(f"Invalid parameters: {name} is a value and has parts", param=name)
    last = path[-1] or str(len(tree))
    if isinstance(tree.get(last), dict):
        raise invalid(f"Invalid parameters: {name} is a value and has parts", param=name)
    tree[last] = value


# --- tree → values. A kind is a function of a parameter's name and its part of the tree. ---

def only_text(name, value):
    if not isinstance(value, str):
        raise invalid("Invalid string: {...}", param=name)
    if value == "":
        raise invalid(f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
                      f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request "
                      "or supply a non-empty value.", "parameter_invalid_empty", name)
    return value


def text(most=TEXT_MAX):
    def read(name, value):
        if len(only_text(name, value)) > most:
            raise invalid(f"Invalid string: {value[:20]}...; must be at most {most} characters", param=name)
        return value
    return read


def integer(least=-10**12, most=10**12):
    def read(name, value):
        if not re.fullmatch(r"-?[0-9]{1,18}", only_text(name, value)):
            raise invalid(f"Invalid integer: {value}", "parameter_invalid_integer", name)
        if int(value) < least:
            raise invalid(f"This value must be greater than or equal to {least}.", "parameter_invalid_integer", name)
        if int(value) > most:
            raise invalid(f"This value must be less than or equal to {most}.", "parameter_invalid_integer", name)
        return int(value)
    return read


def boolean(name, value):
    if only_text(name, value) not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return value == "true"


def choice(*values):
    def read(name, value):
        if only_text(name, value) not in values:
            raise invalid(f"Invalid {name}: must be one of {', '.join(values)}", param=name)
        return value
    return read


def metadata(name, value):
    """An empty value unsets its key; metadata without any key is written as an empty text."""
    if value == "":
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise invalid("Invalid metadata: it must be a hash of strings", param=name)
    for key, held in value.items():
        if len(key) > METADATA_KEY_MAX:
            raise invalid(f"Metadata keys can have up to {METADATA_KEY_MAX} characters, but you passed in a key "
                          f"that is {len(key)} characters. Invalid key: {key}", param=name)
        if len(held) > METADATA_VALUE_MAX:
            raise invalid(f"Metadata values can have up to {METADATA_VALUE_MAX} characters, but you passed in a "
                          f"value that is {len(held)} characters. Invalid value: {held}", param=name)
    if len(value) > METADATA_KEYS_MAX:
        raise invalid(f"You can only have up to {METADATA_KEYS_MAX} metadata keys, but you passed in {len(value)}.",
                      param=name)
    return {key: held for key, held in value.items() if held != ""}


def listed(kind, most):
    def read(name, value):
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise invalid("Invalid array", param=name)
        if len(value) > most:
            raise invalid(f"Array {name} exceeded maximum {most} allowed elements.", param=name)
        return [kind(f"{name}[{key}]", value[key]) for key in sorted(value, key=int)]
    return read


class Table:
    """What an object may hold. At the top of a request it has no name."""

    def __init__(self, required=(), **fields):
        self.required, self.fields = required, fields

    def __call__(self, name, value):
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=name)
        for field in value:
            if field not in self.fields:
                raise invalid(f"Received unknown parameter: {within(name, field)}", "parameter_unknown",
                              within(name, field))
        for field in self.required:
            if field not in value:
                raise invalid(f"Missing required param: {within(name, field)}.", "parameter_missing",
                              within(name, field))
        return {field: self.fields[field](within(name, field), part) for field, part in value.items()}


def within(name, field):
    return f"{name}[{field}]" if name else field
