"""Kills the product's own processes at random with `kill -9`, and starts them again, as a supervisor would."""

import os
import random
import signal
import threading
import time
from collections import Counter

from benchmarks.harness import Stack
from consumption_cs.processes import Running

PROCESSES = ("web", "rollup", "settlement", "delivery", "sweeper", "beat-1", "beat-2")
STORES = ("valkey", "postgres")
SUPERVISOR_LOOKS = 0.2  # seconds
AWAY = (0.2, 1.0)  # seconds until a killed store is started again


class Nemesis:
    """Kills one after the other, seeded. `kills` counts them by name."""

    def __init__(self, stack: Stack, seed: int, *, pauses: tuple[float, float] = (1.5, 4.0)) -> None:
        self.stack, self.pauses = stack, pauses
        self.pick = random.Random(seed)  # noqa: S311 - test data
        self.kills: Counter[str] = Counter()
        self.ended = threading.Event()  # no more kills
        self.calm = threading.Event()  # the last kill is done, and what it hit is started again
        self.closed = threading.Event()  # no more restarts either
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._kill, self._supervise)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop_killing(self) -> None:
        """No more kills; what lies on the ground is started again."""
        self.ended.set()
        self.calm.wait()

    def close(self) -> None:
        """End the supervisor too."""
        self.ended.set()
        self.closed.set()
        for thread in self.threads:
            thread.join()

    def _kill(self) -> None:
        try:
            while not self.ended.wait(self.pick.uniform(*self.pauses)):
                name = self.pick.choice([*PROCESSES, *STORES])
                if name in STORES:
                    self._kill_store(name)
                else:
                    self._named(name).kill()
                self.kills[name] += 1
        finally:
            self.calm.set()
        self.closed.wait()  # Linux ends what a thread started (see die_with_parent) when that thread ends

    def _kill_store(self, name: str) -> None:
        service = self.stack.postgres if name == "postgres" else self.stack.valkey
        if service.process is None:
            return
        os.kill(service.process.pid, signal.SIGKILL)  # PostgreSQL's own children see it, and end at once
        service.process.wait()
        time.sleep(self.pick.uniform(*AWAY))
        wanted = service.port
        service.preferred_port = wanted
        service.start()
        if service.port != wanted:
            raise RuntimeError(f"{name} came back on another port: {service.port} instead of {wanted}")

    def _named(self, name: str) -> Running:
        return next(running for running in self.stack.processes if running.name == name)

    def _supervise(self) -> None:
        while not self.closed.wait(SUPERVISOR_LOOKS):
            for running in self.stack.processes:
                if running.has_ended:
                    running.restart()
