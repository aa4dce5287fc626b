"""Work on the fleet that nobody waits for: registrations, updates, removals."""

from __future__ import annotations

import asyncio
import enum
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import msgspec

MAX_FINISHED = 1024
"""Jobs that have ended are remembered until this many others have."""

MAX_MESSAGE_CHARACTERS = 500


class JobType(enum.StrEnum):
    """What a job does."""

    ADD = "AddWorker"
    UPDATE = "UpdateWorker"
    REPLACE = "ReplaceWorker"
    REMOVE = "RemoveWorker"


class JobState(enum.StrEnum):
    """How far a job is."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class JobStatus(msgspec.Struct):
    """A job as the control plane shows it; `timestamp` is Unix seconds of the latest change."""

    job_type: JobType
    worker_url: str
    status: JobState
    message: str | None
    timestamp: int

    @property
    def is_open(self) -> bool:
        """Whether the job has not ended."""
        return self.status in (JobState.PENDING, JobState.PROCESSING)


class JobsFull(Exception):
    """There are as many jobs as are allowed; the new one was not taken."""


class NotYet(Exception):
    """An attempt that did not succeed but may if tried again."""


class JobFailed(Exception):
    """A job that cannot succeed."""


class Patience:
    """How long and how often a job is tried; times in seconds."""

    __slots__ = ("deadline", "first_pause_s", "max_attempts", "max_pause_s")

    def __init__(
        self,
        *,
        deadline: float,
        max_pause_s: float,
        first_pause_s: float = 0.1,
        max_attempts: int | None = None,
    ) -> None:
        self.deadline = deadline
        self.first_pause_s = first_pause_s
        self.max_pause_s = max_pause_s
        self.max_attempts = max_attempts

    def pause_s(self, attempt: int, now: float) -> float | None:
        """The pause after attempt number `attempt` (from 1); None when it was the last.

        Pauses double: what is about to come up usually does so within a second or two.
        """
        if self.max_attempts is not None and attempt >= self.max_attempts:
            return None
        pause_s = min(self.first_pause_s * 2 ** min(attempt - 1, 30), self.max_pause_s)
        return pause_s if now + pause_s <= self.deadline else None


class Job:
    """One job. `attempt` does the work and raises `NotYet` or `JobFailed` when it could not.

    `ended` is called once, with the reason when the job did not succeed. A job with `in_line`
    takes one of the places for jobs at work, which a job that mostly sleeps need not.
    """

    def __init__(
        self,
        kind: JobType,
        url: str,
        attempt: Callable[[], Awaitable[None]],
        *,
        patience: Patience | None = None,
        ended: Callable[[str | None], None] = lambda reason: None,
        in_line: bool = True,
    ) -> None:
        self.kind = kind
        self.url = url
        self.attempt = attempt
        self.patience = patience
        self.ended = ended
        self.in_line = in_line


class JobQueue:
    """Runs jobs, those for the same URL one after the other, in the order they came.

    At most `capacity` jobs are open, `concurrency` at work. What has ended is remembered for a
    while. `close` ends everything.
    """

    def __init__(
        self,
        *,
        capacity: int,
        concurrency: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._capacity = capacity
        self._places = asyncio.Semaphore(concurrency)
        self._clock = clock
        self._wall_clock = wall_clock
        self._open = 0
        self._lines: dict[str, deque[Job]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._statuses: OrderedDict[str, JobStatus] = OrderedDict()

    def __len__(self) -> int:
        return self._open

    def check_room(self, count: int) -> None:
        """Raise `JobsFull` unless so many more jobs would be taken."""
        if self._open + count > self._capacity:
            raise JobsFull

    def status(self, url: str) -> JobStatus | None:
        """The latest job of a URL, open or ended."""
        return self._statuses.get(url)

    def statuses(self) -> list[JobStatus]:
        """The latest job of every URL that is remembered."""
        return list(self._statuses.values())

    def is_open(self, url: str, kind: JobType) -> bool:
        """Whether a job of this kind is open for a URL."""
        return any(job.kind is kind for job in self._lines.get(url, ()))

    def submit(self, job: Job) -> None:
        """Take a job; raises `JobsFull`."""
        self.check_room(1)
        self._open += 1
        self._note(job, JobState.PENDING)
        line = self._lines.setdefault(job.url, deque())
        line.append(job)
        if len(line) == 1:
            self._tasks[job.url] = asyncio.get_running_loop().create_task(self._work(job.url))

    async def cancel(self, url: str) -> None:
        """End every job of a URL."""
        task = self._tasks.pop(url, None)
        if task is None:
            return
        line = self._lines.pop(url, deque())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for job in line:
            self._open -= 1
            self._note(job, JobState.FAILED, "cancelled")
            job.ended("cancelled")

    async def close(self) -> None:
        """End every job."""
        for url in list(self._tasks):
            await self.cancel(url)

    def forget(self, url: str) -> None:
        """Remember nothing of a URL's ended jobs."""
        status = self._statuses.get(url)
        if status is not None and not status.is_open:
            del self._statuses[url]

    async def _work(self, url: str) -> None:
        line = self._lines[url]
        while line:
            job = line[0]
            reason = await self._run(job)
            state = JobState.COMPLETED if reason is None else JobState.FAILED
            self._open -= 1
            line.popleft()
            self._note(job, state, reason)
            if line:
                self._note(line[0], JobState.PENDING)
            job.ended(reason)
        self._lines.pop(url, None)
        self._tasks.pop(url, None)

    async def _run(self, job: Job) -> str | None:
        """Try until it is done; the reason when it was given up."""
        attempt = 0
        while True:
            attempt += 1
            place: AbstractAsyncContextManager[object] = (
                self._places if job.in_line else nullcontext()
            )
            try:
                async with place:
                    self._note(job, JobState.PROCESSING, self._last_message(job))
                    await job.attempt()
                return None
            except NotYet as refusal:
                reason = str(refusal)
            except JobFailed as failure:
                return str(failure)
            except Exception as error:  # noqa: BLE001 - a defect in one job must not end all others
                return f"{type(error).__name__}: {error}"
            pause_s = job.patience.pause_s(attempt, self._clock()) if job.patience else None
            if pause_s is None:
                return reason
            self._note(job, JobState.PROCESSING, f"attempt {attempt} failed: {reason}")
            await asyncio.sleep(pause_s)

    def _last_message(self, job: Job) -> str | None:
        status = self._statuses.get(job.url)
        return status.message if status is not None and status.job_type is job.kind else None

    def _note(self, job: Job, state: JobState, message: str | None = None) -> None:
        if message is not None:
            message = message[:MAX_MESSAGE_CHARACTERS]
        self._statuses[job.url] = JobStatus(
            job.kind, job.url, state, message, int(self._wall_clock())
        )
        self._statuses.move_to_end(job.url)
        excess = len(self._statuses) - MAX_FINISHED - self._open
        if excess > 0:
            ended = [url for url, status in self._statuses.items() if not status.is_open]
            for url in ended[:excess]:
                del self._statuses[url]
