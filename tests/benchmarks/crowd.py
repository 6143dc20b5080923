"""How long a crowd waits for `serve`: users that each ask, read the answer, and ask another problem at once.

    python -m bench serve RUN --rate 1000000
    python tests/benchmarks/crowd.py http://127.0.0.1:8000 --users 50 --seconds 20

Standard library only. Server and crowd share the machine, as the figures must say.
"""

import argparse
import http.client
import json
import random
import statistics
import threading
import time
from urllib.parse import urlsplit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    place = urlsplit(options.address).netloc
    waited: list[float] = []
    failed: list[str] = []
    started = time.perf_counter()
    end = started + options.seconds

    def user(number: int) -> None:
        draw = random.Random(number)
        connection = http.client.HTTPConnection(place, timeout=60)
        while time.perf_counter() < end:
            body = json.dumps({"expression": f"{draw.randint(-99, 99)}{draw.choice('+-*')}{draw.randint(-99, 99)}"})
            asked = time.perf_counter()
            try:
                connection.request("POST", "/api/ask", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                content = response.read()
            except OSError as error:
                failed.append(repr(error))
                connection.close()
                continue
            if response.status == 200:
                waited.append(time.perf_counter() - asked)
            else:
                failed.append(f"{response.status} {content[:100]!r}")

    threads = [threading.Thread(target=user, args=(number,)) for number in range(options.users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    cuts = statistics.quantiles(waited, n=100)
    print(
        f"{options.users} users, {seconds:.1f} s: {len(waited)} answered ({len(waited) / seconds:.1f} a second), "
        f"{len(failed)} failed; p50 {cuts[49]:.2f} s, p95 {cuts[94]:.2f} s, longest {max(waited):.2f} s"
    )
    for what in sorted(set(failed))[:5]:
        print(f"  {what}")


if __name__ == "__main__":
    main()
