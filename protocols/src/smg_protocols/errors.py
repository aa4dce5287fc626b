"""The one error this package raises towards its callers."""

__all__ = ("RequestInvalid",)


class RequestInvalid(Exception):
    """A request body that the API would refuse.

    `status` is the HTTP status (400, or 415 and 422 where `plain_text` is true), `code` the
    stable error code (None for plain text answers), `message` the sentence for the client and
    `param` the JSON path of the offending field, such as `messages[0].content`, or None.
    `plain_text` says that the answer's body is `message` itself as text/plain; otherwise the
    dialect's JSON error envelope carries code, message and param.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        plain_text: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.plain_text = plain_text

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.message!r}, status={self.status}, code={self.code!r}, "
            f"param={self.param!r}, plain_text={self.plain_text})"
        )
