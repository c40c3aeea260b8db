"""What went wrong below HTTP, in words that lead to the mistake."""

import ssl

UNTRUSTED = "the TLS certificate is not trusted (set ca_file to the CA bundle that signed it)"
_OF_THE_CERTIFICATE = {9, 10, 62, 64}
"""OpenSSL's codes for what no CA bundle mends: not yet valid, expired, of another name, of another address."""


def tls_words(cause: BaseException) -> str:
    """Describe why no TLS connection came about."""
    if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in _OF_THE_CERTIFICATE:
        said = cause.verify_message.rstrip(".")
        return f"the TLS certificate is refused: {said[:1].lower()}{said[1:]}"
    if getattr(cause, "reason", "") in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "that port does not speak TLS (is the address one of http:// ?)"
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError) and cause.reason:
        return f"no TLS connection came about: {cause.reason.replace('_', ' ').lower()}"
    return UNTRUSTED


def root_of(error: BaseException) -> BaseException:
    """Return what an error is about in the end, below what libraries wrapped around it."""
    for _ in range(6):
        found = (getattr(error, name, None) for name in ("original_error", "reason"))  # the former: of a proxy's
        inner = next(filter(None, found), None) or (error.args[0] if error.args else None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error
