"""The pods of a cluster, asked for through the Kubernetes client."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..settings import ConfigError
from .pod_store import GONE, PodPage, Status, VersionGone, read_page

if TYPE_CHECKING:
    import aiohttp
    from kubernetes_asyncio.client import ApiClient, CoreV1Api

PAGE_PODS = 100
"""Pods per answer: decoding more at a time would hold requests up."""
LIST_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
WATCH_SLACK_S = 30.0
"""How much longer than promised the server may take to end a watch before it counts as dead."""

KUBECONFIG = "KUBECONFIG"
HOME_CONFIG = "~/.kube/config"

_REFUSALS = frozenset({401, 403})


class Unavailable(Exception):
    """The API server cannot be reached, or cannot answer now."""


class AccessRefused(Exception):
    """The API server does not let this gateway look at pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Where pods are looked for: in one namespace, or in all (None)."""

    namespace: str | None = None
    label_selector: str = ""
    watch_timeout_s: float = 300.0


def check_client() -> None:
    """Raise ConfigError where the Kubernetes client is not installed."""
    if find_spec("kubernetes_asyncio") is None:
        raise ConfigError.startup(
            "Kubernetes discovery needs the Kubernetes client: "
            "pip install 'smg-gateway[kubernetes]'"
        )


class PodApi:
    """A connection to one API server. `close` ends it.

    Everything raises `Unavailable` or `AccessRefused` when the server does not do what is asked,
    and `VersionGone` when what is asked about is too long ago.
    """

    def __init__(self, config: ClusterConfig, client: ApiClient) -> None:
        from kubernetes_asyncio.client import CoreV1Api

        self._config = config
        self._client = client
        self._core: CoreV1Api = CoreV1Api(client)

    @classmethod
    async def connect(
        cls, config: ClusterConfig, environ: Mapping[str, str] = os.environ
    ) -> PodApi:
        """Use the kubeconfig file where there is one, else the pod's own service account."""
        from kubernetes_asyncio import client as kubernetes
        from kubernetes_asyncio import config as credentials

        configuration = kubernetes.Configuration()
        path = _kubeconfig(environ)
        try:
            if path is not None:
                await credentials.load_kube_config(
                    config_file=path, client_configuration=configuration, persist_config=False
                )
            else:
                load_incluster: Any = credentials.load_incluster_config
                load_incluster(client_configuration=configuration)
            return cls(config, kubernetes.ApiClient(configuration))
        except Exception as error:  # the library, and helpers it runs, raise anything
            raise Unavailable(f"no access to a cluster is configured: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def pages(self) -> AsyncGenerator[PodPage, None]:
        """All pods there are now, page by page; the last page says at which version."""
        more: str | None = None
        while True:
            options: dict[str, Any] = {"limit": PAGE_PODS}
            if more is not None:
                options["_continue"] = more
            response = await self._ask(LIST_TIMEOUT_S, LIST_TIMEOUT_S, options)
            async with response:
                page = read_page(await _read(response))
            yield page
            more = page.metadata.more
            if not more:
                return

    async def watch(self, version: str) -> AsyncGenerator[bytes, None]:
        """What changes from a version on, until the server ends it: lines, in pieces of any size.

        The first piece is empty and says that the server has agreed to the watch.
        """
        import aiohttp

        config = self._config
        options = {
            "watch": True,
            "resource_version": version,
            "allow_watch_bookmarks": True,
            "timeout_seconds": max(1, round(config.watch_timeout_s)),
        }
        silence_s = config.watch_timeout_s + WATCH_SLACK_S
        response = await self._ask(None, silence_s, options)
        async with response:
            yield b""
            try:
                async for piece in response.content.iter_any():
                    yield piece
            except (aiohttp.ClientError, OSError) as error:
                raise Unavailable(f"the watch broke off: {_text(error)}") from error

    async def _ask(
        self, total_s: float | None, silence_s: float, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        import aiohttp

        timeout = aiohttp.ClientTimeout(
            total=total_s, sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s
        )
        options |= {"_preload_content": False, "_request_timeout": timeout}
        if self._config.label_selector:
            options["label_selector"] = self._config.label_selector
        core: Any = self._core
        try:
            if self._config.namespace is not None:
                asked = core.list_namespaced_pod(self._config.namespace, **options)
            else:
                asked = core.list_pod_for_all_namespaces(**options)
            response: aiohttp.ClientResponse = await asked
        except Exception as error:  # credential helpers of the library raise anything
            raise Unavailable(f"the API server cannot be asked: {_text(error)}") from error
        if response.status != 200:
            async with response:
                raise await _refusal(response)
        return response


def _kubeconfig(environ: Mapping[str, str]) -> str | None:
    named = environ.get(KUBECONFIG)
    if named:
        return named
    home = Path(HOME_CONFIG).expanduser()
    return str(home) if home.exists() else None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    import aiohttp

    try:
        return await response.read()
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"the answer broke off: {_text(error)}") from error


async def _refusal(response: aiohttp.ClientResponse) -> Exception:
    if response.status == GONE:
        return VersionGone()
    reason = f"the API server answered {response.status}"
    try:
        message = msgspec.json.decode(await _read(response), type=Status).message
    except (msgspec.DecodeError, RecursionError):
        message = None  # It comes from a proxy, perhaps.
    if message:
        reason = f"{reason}: {message}"
    return AccessRefused(reason) if response.status in _REFUSALS else Unavailable(reason)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
