"""Everything this package raises, so that a caller can tell bad input from a broken installation."""


class TokenizerError(Exception):
    """Base of every error of this package."""


class TokenizerNotLoaded(TokenizerError):
    """No usable tokenizer was found: unknown model, missing file, unsupported format, hub failure."""


class TokenizerInvalid(TokenizerError):
    """A tokenizer's files exist and cannot be understood."""


class TokenIdInvalid(TokenizerError):
    """A token id that the vocabulary does not hold, where the backend has to refuse it."""


class TokenizerExists(TokenizerError):
    """A tokenizer of that name is registered already. `tokenizer_id` is the id it has."""

    def __init__(self, name: str, tokenizer_id: str) -> None:
        super().__init__(f"Tokenizer '{name}' already exists")
        self.name = name
        self.tokenizer_id = tokenizer_id


class BundleInvalid(TokenizerError):
    """A tokenizer bundle received from a worker is damaged, too large or unsafe to unpack."""


class TemplateError(TokenizerError):
    """Base of errors about chat templates."""


class TemplateInvalid(TemplateError):
    """A chat template's text or file does not parse."""


class TemplateMissing(TemplateError):
    """A chat was to be rendered and the tokenizer has no chat template."""


class RenderingFailed(TemplateError):
    """A template refused the messages, used something undefined, or ran into a limit."""
