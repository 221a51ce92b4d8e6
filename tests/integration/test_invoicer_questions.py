#!/usr/bin/env python3
"""`invoicer rate|periods|prorate`: every published vector through the real binary, the examples of
--help and README.md, and streams with all that can be wrong with a line."""
# limit: 120
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVOICER = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin/invoicer"
BARE = {"PATH": "/usr/bin:/bin"}  # no bucket, no brokers, nothing
UNIT = '{"currency":"USD","price":{"type":"unit","amount":"0.5"},"quantity":"%d"}'
PEAK_KIB = 64 * 1024


def run(verb, text, *arguments):
    if isinstance(text, str):
        text = text.encode()
    done = subprocess.run([INVOICER, verb, *arguments], input=text, capture_output=True, env=BARE,
                          timeout=100, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def ask(verb, text, status, *arguments):
    """The answers as JSON; the exit status is as expected and nothing is said beside them."""
    code, out, err = run(verb, text, "--json", *arguments)
    assert (code, err) == (status, ""), (code, out[-500:], err)
    return [json.loads(line) for line in out.splitlines()]


def codes(answers):
    return [a["error"]["code"] if "error" in a else a["total"] for a in answers]


# --- vectors ---

def moves_money(line):
    return any(float(line[name]) for name in ("amount", "discount", "total"))


def holds(answer, expected):
    """Whether the answer has what is expected of it; members that aren't named may be anything."""
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(
            name in answer and holds(answer[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        if answer and "kind" in answer[0]:
            answer = [line for line in answer if moves_money(line)]
        return len(answer) == len(expected) and all(map(holds, answer, expected))
    return answer == expected


def vectors():
    for folder in ("rating", "calendar"):
        for path in sorted((ROOT / "tests/golden" / folder).glob("*.ndjson")):
            for line in path.read_text().splitlines():
                yield {**json.loads(line), "file": path.name}


def check_vectors():
    found = list(vectors())
    for verb in ("rate", "periods", "prorate"):
        mine = [v for v in found if v["ask"] == verb]
        lines = [v.get("line") or json.dumps(v["question"], ensure_ascii=False) for v in mine]
        answers = ask(verb, "\n".join(lines) + "\n", 65)
        assert len(answers) == len(mine) > 20, (verb, len(answers), len(mine))
        for vector, answer in zip(mine, answers):
            assert holds(answer, vector["answer"]), \
                f"{vector['file']}: {vector['name']}\n  {answer}\n  {vector['answer']}"
        for vector, line in list(zip(mine, lines))[::7]:
            code, out, _ = run(verb, line)
            refused = "error" in vector["answer"]
            assert code == (65 if refused else 0), (vector["name"], out)
            if refused:
                error = vector["answer"]["error"]
                assert out.startswith("line 1: ") and f"({error['code']})" in out, out
    return len(found)


# --- streams ---

def check_broken_lines():
    good = [UNIT % n for n in range(2, 12, 2)]
    whole = json.dumps(json.loads(UNIT % 40), indent=2)
    text = "\n".join([
        good[0], "", "  \t", '{"currency":"USD",', good[1], "nonsense", '{"currency":"USD', "]",
        good[2] + "\r", whole, '{"a":[', "  {", whole, "  " + good[3], UNIT % -1, "\0", '"text"',
        good[4]])
    answers = ask("rate", text, 65)
    bad = "invalid_json"
    assert codes(answers) == ["1.00", bad, "2.00", bad, bad, bad, "3.00", "20.00", bad, bad,
                              "20.00", "4.00", "negative_value", bad, bad, "5.00"], codes(answers)
    assert codes(ask("rate", whole, 0)) == ["20.00"]
    assert codes(ask("rate", whole.replace("\n", "\n\n"), 0)) == ["20.00"]
    assert set(codes(ask("rate", whole[:-1], 65))) == {bad}
    assert codes(ask("rate", whole + whole + "\n" + good[0], 65)) == [bad, "1.00"]
    assert ask("rate", "", 0) == [] and ask("rate", "\n\n", 0) == []
    indented = "\n".join("    " + line for line in whole.splitlines())
    assert codes(ask("rate", indented + "\n" + indented, 0)) == ["20.00"] * 2


def check_long_lines():
    events = ",".join(["\"0.01\""] * 100000)
    price = '{"currency":"USD","price":{"type":"percentage","rate":"100"},"events":[%s]}'
    long = '{"currency":"%s"}' % ("x" * (17 << 20))
    text = "\n".join([price % events, long, price % (events + ',"1"'), UNIT % 2, long])
    answers = ask("rate", text, 65)
    assert codes(answers) == ["1000.00", "too_large", "invalid_type", "1.00", "too_large"], codes(
        answers)
    deep = "[" * 100000
    assert codes(ask("rate", deep + "\n" + UNIT % 2, 65)) == ["invalid_json", "1.00"]


def check_memory():
    """120 MB of questions and as many answers, in the memory of a few."""
    padding = " " * 4000
    with tempfile.NamedTemporaryFile("w+") as file, tempfile.TemporaryFile("w+") as answers:
        for n in range(30000):
            file.write((UNIT % n)[:-1] + padding + "}\n")
        file.flush()
        with subprocess.Popen([INVOICER, "rate", "--json", file.name], stdout=answers,
                              env=BARE) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        answers.seek(0)
        lines = answers.read().splitlines()
    assert process.returncode == 0 and len(lines) == 30000, process.returncode
    assert json.loads(lines[-1])["total"] == "14999.50"
    assert usage.ru_maxrss < PEAK_KIB, usage.ru_maxrss


def check_one_at_a_time():
    """Who waits for an answer before the next question gets it."""
    with subprocess.Popen([INVOICER, "rate", "--json"], stdin=subprocess.PIPE, env=BARE,
                          stdout=subprocess.PIPE) as process:
        for n in range(3):
            process.stdin.write((UNIT % n + "\n").encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["billedQuantity"] == str(n)
        process.stdin.close()
        assert process.wait(20) == 0


def check_files():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "questions"
        path.write_text(UNIT % 2)
        assert codes(ask("rate", "", 0, str(path))) == ["1.00"]
        assert codes(ask("rate", UNIT % 4, 0, "-")) == ["2.00"]
        for wrong in (folder, str(path) + ".not"):
            code, out, err = run("rate", "", wrong)
            assert code == 66 and not out and wrong in err, (code, out, err)
        if os.geteuid() != 0:
            path.chmod(0)
            assert run("rate", "", str(path))[0] == 66
    with open("/dev/full", "wb") as full:
        done = subprocess.run([INVOICER, "rate"], input=(UNIT % 2).encode(), stdout=full,
                              stderr=subprocess.PIPE, env=BARE, timeout=20, check=False)
    assert done.returncode == 74 and b"written" in done.stderr, done
    assert run("rate", "", "one", "two")[0] == 64
    assert run("rate", "", "--bucket=demo")[0] == 64
    assert run("periods", "", "--verbose")[0] == 64


# --- what people read ---

def check_examples(text, least):
    """Each `$ invoicer VERB … <<END` of a text gives what stands below its END."""
    pattern = r"^( *)\$ invoicer ([^\n]*?) <<'?END'?\n(.*?)\n\1END\n(.*?)(?=\n *\n|\n\1\$|\n```)"
    found = 0
    for indent, command, question, shown in re.findall(pattern, text, re.MULTILINE | re.DOTALL):
        verb, *arguments = shlex.split(command)
        code, out, err = run(verb, question, *arguments)
        expected = [line[len(indent):].rstrip() for line in shown.splitlines()]
        assert code == 0 and out.rstrip("\n").splitlines() == expected, (command, out, err, shown)
        found += 1
    assert found >= least, found


def main():
    check_memory()  # first: a child's peak is at least what its parent had
    count = check_vectors()
    check_broken_lines()
    check_long_lines()
    check_one_at_a_time()
    check_files()
    for verb in ("rate", "periods", "prorate"):
        check_examples(run(verb, "", "--help")[1], 1)
    check_examples((ROOT / "README.md").read_text(), 2)
    print(f"{count} vectors")


if __name__ == "__main__":
    sys.exit(main())
