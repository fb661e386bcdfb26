"""What has been written down, and where it is something else now: of words and numbers in lists and dictionaries."""

import argparse
import json
import math


def plain(value):
    """As a file of JSON gives it back."""
    return json.loads(json.dumps(value, default=float))


def differences(found, expected, where=""):
    """Where two descriptions differ, as words; numbers may differ in their last digits."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        pairs = [(found[key], expected[key], f"{where}/{key}") for key in expected]
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = [(*pair, f"{where}/{number}") for number, pair in enumerate(zip(found, expected, strict=True))]
    else:
        are_numbers = all(isinstance(value, float | int) for value in (found, expected))
        are_close = are_numbers and math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
        return [] if are_close or found == expected else [f"{where} is {found} and was {expected}"]
    return [words for pair in pairs for words in differences(*pair)]


def recorded(file):
    return json.loads(file.read_text())


def main(words, file, found):
    """The command line: compare, or write down."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write down what there is now")
    if parser.parse_args().write:
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(description)}" for name, description in found.items())
        file.write_text(f"{{\n{lines}\n}}\n")
        return 0
    changes = differences(found, recorded(file))
    print("\n".join(changes) or "nothing has changed")
    return 1 if changes else 0
