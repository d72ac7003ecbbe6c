"""What a secret looks like: by the key it stands under, or by its own form inside a text."""

import re
from typing import Any, Final

REDACTED: Final = "[redacted]"

SECRET_KEY_ENDINGS: Final = (
    *("password", "passwd", "passphrase", "secret", "secrets", "token", "authorization", "cookie", "cookies"),
    *("credential", "credentials", "apikey", "api_key", "api-key", "privatekey", "private_key", "private-key"),
    *("accesskey", "access_key", "access-key", "secretkey", "secret_key", "secret-key"),
)
"""How keys of secrets end, in lower case: `OPENAI_API_KEY`, `refreshToken`, `set-cookie`; but not `max_tokens`."""


def is_secret(key: str, value: Any) -> bool:
    """Whether a value must be hidden because of its key. Flags are no secrets, and a `token: 12` is a count."""
    if value is None or isinstance(value, bool) or value in ("", REDACTED):
        return False
    name = key.lower()
    return name.endswith(SECRET_KEY_ENDINGS) and not (name.endswith("token") and isinstance(value, int | float))


FORMS: Final = (
    (":AA", re.compile(r"(\d{6,}:)AA[\w-]{30,}", re.ASCII)),  # Telegram bot token
    ("sk-", re.compile(r"(sk-)(?:ant|proj|or|svcacct|admin)-[\w-]{8,}", re.ASCII)),
    ("sk-", re.compile(r"(sk-)(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{32,}")),
    ("sk-", re.compile(r"(?<![A-Za-z0-9])(sk-)(?=[\w-]*\d)[\w-]{16,}", re.ASCII)),
    ("ghp_", re.compile(r"(ghp_)[A-Za-z0-9]{20,}")),
    ("github_pat_", re.compile(r"(github_pat_)\w{20,}", re.ASCII)),
    ("xox", re.compile(r"(xox[a-z]-)[A-Za-z0-9-]{8,}")),
    ("AKIA", re.compile(r"(AKIA)[A-Z0-9]{16,}")),
    ("AIza", re.compile(r"(AIza)[\w-]{30,}", re.ASCII)),
    ("eyJ", re.compile(r"(eyJ)[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*", re.ASCII)),  # JSON Web Token
    ("ik_", re.compile(r"(ik_)[0-9a-f]{32,}")),  # InsForge
    ("earer", re.compile(r"([Bb]earer\s+)(?=[^\s\"']*\d|\S{20})[\w.~+/=-]{8,}", re.ASCII)),
    ("@", re.compile(r"(://[^\s/:@]*:)(?!\[redacted\]@)[^\s/]+(?=@)")),  # a password in a URL
    ("PRIVATE KEY", re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)(?!\[redacted\]).*?(?=-----END|\Z)", re.DOTALL)),
)
"""Forms of secrets inside a text, each after a literal that is quick to look for. The first group stays: it says what
it was."""


def hide(text: str) -> tuple[str, int]:
    """The text without the secrets in it, and how many there were."""
    found = 0
    for literal, form in FORMS:
        if literal in text:
            text, count = form.subn(r"\1" + REDACTED, text)
            found += count
    return text, found
