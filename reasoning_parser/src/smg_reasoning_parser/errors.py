"""What can go wrong: a wrong name, or a wrong order of calls. Text never can."""


class ParserUnknown(LookupError):
    """No parser has this name.

    `name` is the name that was asked for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown reasoning parser: {name}")
        self.name = name


class ParserFinished(RuntimeError):
    """Text was fed to a parser after its `finish()`."""

    def __init__(self) -> None:
        super().__init__("the parser has finished; create a new one for the next output")
