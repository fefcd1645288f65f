"""A storage endpoint of the embedded backend on a real server in a process of its own, for tests.

    python -m tests.contract.storage_server DATA

prints its port, then one line of JSON per upload that it was told of. A `fail` file in DATA makes telling fail.
"""

import json
import socket
import sys
from pathlib import Path

import uvicorn

from safelight.backends.embedded import Embedded


def main() -> None:
    """Serve until killed."""
    data = Path(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    embedded = Embedded(data)

    def created(key: str, version: str, size: int) -> None:
        if (data / "fail").exists():
            raise RuntimeError("told to fail")
        sys.stdout.write(json.dumps([key, version, size]) + "\n")
        sys.stdout.flush()

    app = embedded.storage(created, cors_origins=("https://app.example/",))
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
