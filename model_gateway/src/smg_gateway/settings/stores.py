"""Settings of where responses and conversations are kept."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.shapes import FLAG, I64, U64

__all__ = ("AVAILABLE_STORES", "StoreSettings")

AVAILABLE_STORES = ("memory", "none")
"""The stores that need no database: nothing is refused when one of them is chosen."""

_BACKEND = Group("Backend")
_ORACLE = Group("Oracle Database")
_POSTGRES = Group("PostgreSQL Database")
_REDIS = Group("Redis Database")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class StoreSettings:
    """The store of history, its bounds, and how to reach a database."""

    __slots__ = ()

    history_backend: str = _BACKEND.setting(
        "memory",
        "--history-backend",
        choices=("memory", "none", "oracle", "postgres", "redis"),
        available=AVAILABLE_STORES,
        status=Status.TUNING,
        help="Where responses and conversations are kept.",
    )
    history_memory_max_responses: int = _BACKEND.setting(
        10000,
        "--history-memory-max-responses",
        shape=U64,
        status=Status.TUNING,
        help="memory store: responses kept, at least 1; the oldest make room.",
    )
    history_memory_max_items: int = _BACKEND.setting(
        100000,
        "--history-memory-max-items",
        shape=U64,
        status=Status.TUNING,
        help="memory store: conversation items kept, at least 1; the oldest make room.",
    )
    history_memory_retention_secs: int = _BACKEND.setting(
        86400,
        "--history-memory-retention-secs",
        shape=U64,
        status=Status.TUNING,
        help="memory store: seconds after which a record is dropped; 0 keeps records.",
    )
    schema_config: str | None = _BACKEND.setting(
        None,
        "--schema-config",
        status=Status.TUNING,
        help="YAML file with other table and column names for a database store.",
    )

    oracle_wallet_path: str | None = _ORACLE.setting(
        None,
        "--oracle-wallet-path",
        status=Status.TUNING,
        environment="ATP_WALLET_PATH",
        help="Directory of the Oracle wallet.",
    )
    oracle_tns_alias: str | None = _ORACLE.setting(
        None,
        "--oracle-tns-alias",
        status=Status.TUNING,
        environment="ATP_TNS_ALIAS",
        help="TNS alias to connect to; it wins over the connect descriptor.",
    )
    oracle_connect_descriptor: str | None = _ORACLE.setting(
        None,
        "--oracle-connect-descriptor",
        status=Status.TUNING,
        environment="ATP_DSN",
        secret=True,
        help="Complete Oracle connect string.",
    )
    oracle_username: str | None = _ORACLE.setting(
        None,
        "--oracle-username",
        status=Status.TUNING,
        environment="ATP_USER",
        help="User that connects to Oracle.",
    )
    oracle_password: str | None = _ORACLE.setting(
        None,
        "--oracle-password",
        status=Status.TUNING,
        environment="ATP_PASSWORD",
        secret=True,
        help="Password of the Oracle user.",
    )
    oracle_external_auth: bool = _ORACLE.setting(
        False,
        "--oracle-external-auth",
        shape=FLAG,
        status=Status.TUNING,
        environment="ATP_EXTERNAL_AUTH",
        help="Let the environment authenticate to Oracle, without user and password.",
    )
    oracle_pool_min: int = _ORACLE.setting(
        1,
        "--oracle-pool-min",
        shape=U64,
        status=Status.TUNING,
        environment="ATP_POOL_MIN",
        help="Oracle connections kept open, at least 1.",
    )
    oracle_pool_max: int = _ORACLE.setting(
        16,
        "--oracle-pool-max",
        shape=U64,
        status=Status.TUNING,
        environment="ATP_POOL_MAX",
        help="Oracle connections opened at most.",
    )
    oracle_pool_timeout_secs: int = _ORACLE.setting(
        30,
        "--oracle-pool-timeout-secs",
        shape=U64,
        status=Status.TUNING,
        environment="ATP_POOL_TIMEOUT_SECS",
        help="Longest wait for a free Oracle connection.",
    )

    postgres_db_url: str | None = _POSTGRES.setting(
        None,
        "--postgres-db-url",
        status=Status.TUNING,
        environment="POSTGRES_DB_URL",
        secret=True,
        help="URL of the PostgreSQL database.",
    )
    postgres_pool_max: int = _POSTGRES.setting(
        16,
        "--postgres-pool-max",
        shape=U64,
        status=Status.TUNING,
        environment="POSTGRES_POOL_MAX",
        help="PostgreSQL connections opened at most.",
    )
    postgres_op_timeout_secs: int = _POSTGRES.setting(
        5,
        "--postgres-op-timeout-secs",
        shape=U64,
        status=Status.TUNING,
        environment="POSTGRES_OP_TIMEOUT_SECS",
        help="Seconds one access to PostgreSQL may take before clients get 503.",
    )

    redis_url: str | None = _REDIS.setting(
        None,
        "--redis-url",
        status=Status.TUNING,
        environment="REDIS_URL",
        secret=True,
        help="URL of the Redis server.",
    )
    redis_pool_max: int = _REDIS.setting(
        16,
        "--redis-pool-max",
        shape=U64,
        status=Status.TUNING,
        environment="REDIS_POOL_MAX",
        help="Redis connections opened at most.",
    )
    redis_retention_days: int = _REDIS.setting(
        30,
        "--redis-retention-days",
        shape=I64,
        status=Status.TUNING,
        environment="REDIS_RETENTION_DAYS",
        help="Days after which Redis drops a record; -1 keeps records.",
    )
    redis_op_timeout_secs: int = _REDIS.setting(
        5,
        "--redis-op-timeout-secs",
        shape=U64,
        status=Status.TUNING,
        environment="REDIS_OP_TIMEOUT_SECS",
        help="Seconds one access to Redis may take before clients get 503.",
    )
