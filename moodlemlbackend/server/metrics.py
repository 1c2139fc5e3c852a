"""What Prometheus is told: names begin with ``moodlemlbackend_``, times are in seconds."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class Metrics:
    """Counters of one server process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "moodlemlbackend_requests", "Requests answered", ["path", "code"], registry=self._registry
        )
        self.jobs = Counter("moodlemlbackend_jobs", "Jobs ended", ["kind", "result"], registry=self._registry)
        self.seconds = Histogram(
            "moodlemlbackend_job_seconds",
            "Time spent working on a job",
            ["kind"],
            registry=self._registry,
            buckets=_SECONDS,
        )
        self.waited = Histogram(
            "moodlemlbackend_wait_seconds",
            "Time spent waiting for a worker",
            ["pool"],
            registry=self._registry,
            buckets=_SECONDS,
        )
        self.rows = Counter("moodlemlbackend_rows", "Rows in data sets", ["kind"], registry=self._registry)
        self.failed_logins = Counter("moodlemlbackend_failed_logins", "Failed logins", registry=self._registry)
        self.replaced = Counter(
            "moodlemlbackend_workers_replaced", "Workers replaced", ["pool", "reason"], registry=self._registry
        )
        self._queue = Gauge("moodlemlbackend_queue", "Requests now", ["pool", "state"], registry=self._registry)
        self._workers = Gauge("moodlemlbackend_workers", "Workers that are running", ["pool"], registry=self._registry)

    def show_pool(self, pool: str, workers: int, requests: dict[str, int]) -> None:
        """Note how many workers of a pool are up now, and how many requests are in each state."""
        self._workers.labels(pool).set(workers)
        for state, count in requests.items():
            self._queue.labels(pool, state).set(count)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)
