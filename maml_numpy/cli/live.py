"""The live page: adapt to points of your own, train, check a statement, draw characters, walk to a goal.

A server on this machine, 127.0.0.1, computes what the page asks for. In the section Check it runs the code that you
write there.
"""

import sys
import webbrowser
from typing import Sequence

from ..live import engine
from ..live.server import HOST, Server
from .console import Parser, guarded


def run(argv: Sequence[str]) -> int:
    """Serve until interrupted; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="Where to listen (default: 0, any port that is free).")
    parser.add_argument("--no-browser", action="store_true", help="Only print the address.")
    args = parser.parse_args(argv)
    if not 0 <= args.port < 2**16:
        raise ValueError(f"--port must be from 0 to 65535, got {args.port}")
    try:
        server = Server(args.port)
    except OSError as error:
        raise OSError(f"{HOST}:{args.port} cannot be listened on ({error.strerror}); choose another --port, or "
                      "none") from None
    engine.start_of("maml")
    print(f"{server.address}\nCtrl-C ends it", flush=True)
    if not args.no_browser:
        webbrowser.open(server.address)
    with server:
        server.serve_forever()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
