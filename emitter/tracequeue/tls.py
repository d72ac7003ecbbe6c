"""What cures a TLS connection that did not come about, by the text of its error: libraries keep no more of it."""


def tls_cure(error: BaseException, authority: str) -> str:
    """What to do, or nothing where it is not about TLS. `authority` is the URL's option for the authority's file."""
    text = str(error)
    if "rejected SSL upgrade" in text or "WRONG_VERSION_NUMBER" in text:
        return "the server speaks no TLS at this port: switch it on there, or name another port"
    if "CERTIFICATE_VERIFY_FAILED" not in text:
        return ""
    if "mismatch" in text or "not valid for" in text:
        return "name the host as the server's certificate does"
    if "expired" in text:
        return "renew the server's certificate"
    return f"name the file of the authority that signed the server's certificate: ?{authority}=FILE"
