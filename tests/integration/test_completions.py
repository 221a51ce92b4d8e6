#!/usr/bin/env python3
"""What bash, zsh and fish offer at <Tab>, asked of the shells themselves with the completions that each
process prints. A shell that isn't installed is passed over, saying so."""
# limit: 180
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin"
PROCESSES = ("ingest", "aggregator", "invoicer")
# What is typed, and what is offered then: a list, since a word offered twice is wrong.
OFFERS = [
    ("tollway-invoicer su", ["subscriptions"]),
    ("tollway-invoicer subscriptions ", ["cancel", "change", "delete", "list", "restore", "show"]),
    ("tollway-invoicer subscriptions ca", ["cancel"]),
    ("tollway-invoicer stripe ", ["check", "connect", "deliver", "status"]),
    ("tollway-invoicer stripe d", ["deliver"]),
    ("tollway-invoicer stripe deliver --stripe-col", ["--stripe-collection"]),
    ("tollway-invoicer stripe deliver --stripe-collection=", ["charge_automatically", "send_invoice"]),
    ("tollway-invoicer stripe deliver --stripe-key=cat", ["catalog.json"]),
    ("tollway-invoicer --log-f", ["--log-form"]),
    ("tollway-invoicer --log-form=", ["json", "logfmt"]),
    ("tollway-invoicer --log-form js", ["json"]),
    ("tollway-invoicer --log-form json catalog a", ["apply"]),
    ("tollway-invoicer --json=", ["false", "true"]),
    ("tollway-invoicer --json subs", ["subscriptions"]),
    ("tollway-invoicer subscriptions list --dr", ["--draft", "--dry-run"]),
    ("tollway-invoicer catalog apply cat", ["catalog.json"]),
    ("tollway-invoicer --kafka-config=cat", ["catalog.json"]),
    ("tollway-invoicer --config cat", ["catalog.json"]),
    ("tollway-invoicer --wait=cat", []),
    ("tollway-ingest --print-completion ", ["bash", "fish", "zsh"]),
    ("tollway-ingest --check", ["--check-config"]),
    ("tollway-aggregator --dedup-m", ["--dedup-memory"]),
]


def offered(words):
    """fish repeats the flag before its value, and offers a switch bare and with a =."""
    words = [word.split("\t")[0] for word in words if word]
    return sorted(re.sub(r"^--[a-z-]+=(?=.)|=$", "", word) for word in words
                  if not (word.endswith("=") and word[:-1] in words))


class Bash:
    name = "bash"

    def __init__(self, folder):
        self.folder = folder

    def ask(self, line):
        program = line.split()[0]
        words = [part for word in line.split(" ") for part in re.findall(r"=|[^=]+|^$", word)]
        script = f"""
            source {program}
            compopt() {{ :; }}
            function=$(complete -p {program} | sed -n 's/.*-F \\([^ ]*\\).*/\\1/p')
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE={line!r} COMP_POINT={len(line)}
            "$function" {program} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=self.folder, text=True,
                              capture_output=True, check=False)
        assert not done.stderr, done.stderr
        return done.stdout.splitlines()


class Fish:
    """Asked without its editor, fish 4 also offers words that hold what was typed further on; the editor
    shows those only where none begins so."""
    name = "fish"

    def __init__(self, folder):
        self.folder = folder

    def ask(self, line):
        done = subprocess.run(["fish", "--no-config", "-c",
                               f"source {line.split()[0]}.fish; complete -C {line!r}"],
                              cwd=self.folder, text=True, capture_output=True, check=False)
        assert not done.stderr, done.stderr
        offers = done.stdout.splitlines()
        typed = line.rsplit(" ", 1)[1]
        return [offer for offer in offers if offer.startswith(typed)] or offers


class Zsh:
    """Completion runs in the line editor alone, so in a terminal: a pty's. What is offered goes through
    the builtin compadd, which a function in front of it notes down."""
    name = "zsh"
    SETUP = r"""
        fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D
        compadd() {
          local -a notes
          if [[ " $* " != *" -"[OAD]" "* ]]; then
            builtin compadd -O notes "$@"; print -rl -- $notes >>offers
          fi
          builtin compadd "$@"
        }
        ask() { BUFFER=$ASKED CURSOR=$#ASKED; zle complete-word; : >>done; exit }
        zle -N ask; bindkey '^A' ask; LISTMAX=9999
        zstyle ':completion:*' list-prompt ''
        : >ready
    """

    def __init__(self, folder):
        self.folder = folder
        (folder / "setup.zsh").write_text(self.SETUP)

    def ask(self, line):
        for name in ("offers", "done", "ready"):
            (self.folder / name).unlink(missing_ok=True)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "ASKED": line, "TERM": "xterm"})
        self.send_when(terminal, lambda: True, b"source ./setup.zsh\n")
        self.send_when(terminal, (self.folder / "ready").exists, b"\x01")
        said = self.send_when(terminal, (self.folder / "done").exists, b"")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
        assert b"_arguments:" not in said and b"_tollway" not in said, said
        offers = self.folder / "offers"
        return offers.read_text().splitlines() if offers.exists() else []

    @staticmethod
    def send_when(terminal, ready, keys):
        said, end = b"", time.monotonic() + 60
        while not ready():
            assert time.monotonic() < end, said
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    said += os.read(terminal, 65536)
                except OSError:  # the shell has ended
                    break
        if keys:
            os.write(terminal, keys)
        return said


def print_completions(folder):
    for process in PROCESSES:
        for shell, name in (("bash", "{}"), ("zsh", "_{}"), ("fish", "{}.fish")):
            with (folder / name.format(f"tollway-{process}")).open("w") as out:
                subprocess.run([BIN / process, "--print-completion", shell], stdout=out, check=True)
    (folder / "catalog.json").write_text("{}")


def main():
    with tempfile.TemporaryDirectory(prefix="tollway-test-") as name:
        folder = pathlib.Path(name)
        print_completions(folder)
        wrong = []
        for shell in (Bash(folder), Zsh(folder), Fish(folder)):
            if not shutil.which(shell.name):
                print(f"{shell.name} isn't installed: scripts/setup test")
                continue
            for line, wanted in OFFERS:
                got = offered(shell.ask(line))
                if got != wanted:
                    wrong.append(f"{shell.name} at {line!r}: {got} instead of {wanted}")
            print(f"{shell.name}: {len(OFFERS)} lines")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
