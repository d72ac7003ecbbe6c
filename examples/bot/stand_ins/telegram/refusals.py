"""What the Bot API answers instead of a result."""

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_LARGE, TOO_MANY = 400, 401, 403, 404, 409, 413, 429


class Refusal(Exception):
    """An HTTP status, what Telegram says with it, and after how many seconds to ask again where it says that."""

    def __init__(self, status: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after


def bad_request(description: str) -> Refusal:
    """400, in Telegram's manner."""
    return Refusal(BAD_REQUEST, f"Bad Request: {description}")
