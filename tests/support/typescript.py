"""Interfaces of a TypeScript declaration file, as the Stripe SDK's are written."""
import re

BLOCK = re.compile(r"(?:export )?(?:declare )?(interface|namespace) (\w+)(?: extends (\w+))? \{|\{|\}")


class Interfaces:
    """`members(("InvoiceAddLinesParams", "Line"))` → {"amount": "number", …}, inherited ones among them."""

    def __init__(self, *files):
        self.found = {}
        for file in files:
            self.read(re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(), flags=re.DOTALL))

    def read(self, source):
        stack = []
        for match in BLOCK.finditer(source):
            if match.group() != "}":
                stack.append((match.group(1), match.group(2), match.group(3), match.end()))
                continue
            kind, _, parent, start = stack[-1]
            if kind == "interface":
                path = tuple(name for kind, name, _, _ in stack if kind)
                self.found[path] = (source[start:match.start()], parent)
            stack.pop()

    def members(self, path):
        body, parent = self.found[path]
        flat = re.sub(r"\{[^{}]*\}", "{}", body)
        own = {name: kind for name, kind in re.findall(r"^\s*(\w+)\??: ([^;]+);", flat, re.MULTILINE)}
        return own | (self.members((parent,)) if parent else {})

    def named(self, kind, path):
        """The interface that a member of `path` is made of: `Emptyable<Array<Line.Period>>`, say."""
        for name in re.findall(r"[\w.]+", kind):
            for depth in range(len(path), -1, -1):
                if (*path[:depth], *name.split(".")) in self.found:
                    return *path[:depth], *name.split(".")
        return None
