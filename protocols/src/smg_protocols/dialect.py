"""The request bodies this package can read, one member per route."""

import enum

__all__ = ("Dialect",)


class Dialect(enum.Enum):
    """A client API. The value is the route's path, e.g. `Dialect("/v1/messages")`."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    GENERATE = "/generate"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"
    COUNT_TOKENS = "/v1/messages/count_tokens"
    EMBEDDINGS = "/v1/embeddings"
    CLASSIFY = "/v1/classify"
    RERANK = "/rerank"
    V1_RERANK = "/v1/rerank"
    INTERACTIONS = "/v1/interactions"
    REALTIME_SESSIONS = "/v1/realtime/sessions"
    REALTIME_CLIENT_SECRETS = "/v1/realtime/client_secrets"
    REALTIME_TRANSCRIPTION_SESSIONS = "/v1/realtime/transcription_sessions"
    TOKENIZE = "/v1/tokenize"
    DETOKENIZE = "/v1/detokenize"
    PARSE_FUNCTION_CALL = "/parse/function_call"
    PARSE_REASONING = "/parse/reasoning"
