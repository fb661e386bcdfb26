"""Requests a second of the server in `examples/plot_serving.py`, while its model is replaced, with every answer compared.

The clients are wrk's, written in C, so that they take little of the server's processors and nothing of its lock. With one
connection and with four, they ask for the images of the test part in turn, and compare each answer with that of the old and of
the new model. The new one takes the place of the old when half of the time is over. Debian's package: wrk.

    python benchmarks/run.py serving --seconds 8
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from benchmarks.supervisor import ROOT

CONNECTIONS = (1, 4)
EXAMPLE = ROOT / "examples" / "plot_serving.py"
#: Where the part of the example ends that starts the server
END_OF_SERVICE = "# %%\n# Clients, and a new model\n"
# A thread of wrk has one connection here, so answers come in the order of its requests.
COMPARE = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(arguments) number = 0; old = 0; new = 0; wrong = 0 end
function request()
    number = number % #images + 1
    return wrk.format("POST", "/", {["Content-Length"] = #images[number]}, images[number])
end
function response(status, headers, body)
    if status == 200 and body == of_old[number] then old = old + 1
    elseif status == 200 and body == of_new[number] then new = new + 1
    else wrong = wrong + 1 end
end
function done(summary, latency, requests)
    local sums = {old = 0, new = 0, wrong = 0}
    for _, thread in ipairs(threads) do
        for name in pairs(sums) do sums[name] = sums[name] + thread:get(name) end
    end
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format('{"old": %d, "new": %d, "wrong": %d, "failed": %d, "requests": %d, "microseconds": %d, "median": %d}',
        sums.old, sums.new, sums.wrong, failed, summary.requests, summary.duration, latency:percentile(50)))
end
"""


def started_service():
    """Run the example as far as its server; returns its names."""
    names = {"__name__": "serving"}
    service, _ = EXAMPLE.read_text(encoding="utf-8").split(END_OF_SERVICE)
    exec(compile(service, str(EXAMPLE), "exec"), names)
    return names


def answers(model, images):
    """Return what the service says of every image when this model answers, as text."""
    rows = model.predict_proba(images)
    return [json.dumps({"label": int(row.argmax()), "probability": float(row.max())}) for row in rows]


def lua_table(name, texts):
    """Write a table of byte strings as Lua reads it."""
    quoted = ('"' + "".join(f"\\{byte:03d}" for byte in text) + '"' for text in texts)
    return f"local {name} = {{{', '.join(quoted)}}}\n"


def measure(names, new, script, n_connections, seconds):
    """Let wrk ask for some seconds, and replace the model in the middle; returns what it counted."""
    service, old = names["Service"], names["old"]
    service.model = old
    threading.Timer(seconds / 2, setattr, (service, "model", new)).start()
    address = f"http://127.0.0.1:{names['server'].server_port}/"
    options = [f"-t{n_connections}", f"-c{n_connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
    printed = subprocess.run(["wrk", *options, address], capture_output=True, text=True, check=True).stdout
    return json.loads(re.search(r"\{.*\}", printed).group())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="for each number of connections")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; Debian's package is called wrk")
    names = started_service()
    names["server"].handle_error = lambda *_: None  # when wrk ends, it waits for no answer; what fails before, it counts
    new, images = names["train"](len(names["images"]), random_state=1), names["images_test"]
    n_wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "compare.lua")
        tables = {"images": [image.tobytes() for image in images]}
        for name, model in (("of_old", names["old"]), ("of_new", new)):
            tables[name] = [text.encode() for text in answers(model, images)]
        script.write_text("".join(lua_table(*table) for table in tables.items()) + COMPARE)
        for n_connections in CONNECTIONS:
            found = measure(names, new, script, n_connections, arguments.seconds)
            rate = found["requests"] / found["microseconds"] * 1e6
            print(f"{n_connections} connections: {rate:.0f} requests a second, half within {found['median'] / 1000:.2f} ms; "
                  f"{found['old']} answers of the old model, {found['new']} of the new one, {found['wrong']} wrong, "
                  f"{found['failed']} failed")  # fmt: skip
            n_wrong += found["wrong"] + found["failed"]
    names["server"].shutdown()
    return 1 if n_wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
