"""A real Redis for tests, where this machine has one."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

COMMAND = shutil.which("redis-server")


class RedisServer:
    """A Redis on a free port of this machine, which keeps nothing on disk."""

    def __init__(self, directory: Path, **options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        self._options |= {"dir": str(directory), **options}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it responds."""
        options = [text for name, value in self._options.items() for text in (f"--{name}", value)]
        self._process = subprocess.Popen([str(COMMAND), *options], stdout=subprocess.DEVNULL)
        while not self._responds():
            assert self._process.poll() is None, "redis-server has ended"
            time.sleep(0.01)

    def _responds(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
